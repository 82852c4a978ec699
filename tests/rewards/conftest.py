"""The verifier corpora, where they are at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def corpus() -> Callable[[str], list[dict[str, Any]]]:
    """Reads a JSON Lines file under $COGITATE_DATA, e.g. corpus("verifiers/kk_verdicts")."""

    def read(name: str) -> list[dict[str, Any]]:
        root = os.environ.get("COGITATE_DATA")
        if not root:
            pytest.skip("COGITATE_DATA is not set, so the verifier corpora are not at hand")
        lines = (Path(root) / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    return read
