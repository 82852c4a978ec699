"""Programs that run inside the sandbox. They are read as text and import nothing of this package: it is not there."""

from __future__ import annotations

from pathlib import Path


def source(name: str) -> str:
    """The text of one of these programs, e.g. "guest"."""
    return (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
