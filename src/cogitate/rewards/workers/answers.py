"""By what the answers of trusted functions are known (`cogitate/answers.py` keeps them)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cogitate.types import PLACE


def digest_of(functions: Mapping[str, str]) -> str:
    """SHA-256 of functions by name, each "FILE.py:FUNCTION": of the text of their files, wherever these lie."""
    digest = hashlib.sha256()
    for name, location in sorted(functions.items()):
        file, _, function = location.rpartition(":")
        digest.update(f"{name}\0{function}\0{hashlib.sha256(Path(file).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def key_of(functions: str, asked: Mapping[str, Any]) -> str:
    """The key of a question: the functions' digest and what they are shown, but for places and times."""
    shown = json.dumps(without(asked, {PLACE, "seconds"}), sort_keys=True, default=str)
    return hashlib.sha256(f"{functions}\n{shown}".encode()).hexdigest()


def without(value: Any, keys: Collection[str]) -> Any:
    """A tree of mappings without some keys."""
    return (
        {key: without(inner, keys) for key, inner in value.items() if key not in keys} if isinstance(value, Mapping) else value
    )
