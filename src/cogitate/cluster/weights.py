"""Models on their way to generators: the files of a model directory as bytes, with a version and a digest of them.

Weights cross as the safetensors files that they are written as; nothing is pickled but flat arrays of bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cogitate.errors import CheckpointError

Bytes = NDArray[np.uint8]
PARTS_OF_A_MODEL = (".json", ".safetensors", ".jinja", ".model", ".txt")  # what loading a model and its tokenizer may read


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which weights: two with one version differ in their digest."""

    version: int
    digest: str

    def __str__(self) -> str:
        return f"version {self.version} ({self.digest[:12]})"


class StaleWeightsError(RuntimeError):
    """A generator does not have the weights that it is asked to sample from; the message names both."""


def read_model(directory: Path) -> dict[str, Bytes]:
    """The files of a model directory by name.

    Raises:
        CheckpointError: there is no config.json.
    """
    if not (directory / "config.json").is_file():
        raise CheckpointError(f"{directory}: has no config.json, so it is no model directory")
    paths = sorted(path for path in directory.iterdir() if path.suffix in PARTS_OF_A_MODEL and path.is_file())
    return {path.name: np.fromfile(path, dtype=np.uint8) for path in paths}


def write_model(files: Mapping[str, Bytes], directory: Path) -> None:
    for name, content in files.items():
        assert Path(name).name == name, f"a file of a model directory, not a path: {name}"
        content.tofile(directory / name)


def digest_of(files: Mapping[str, Bytes]) -> str:
    """SHA-256 of all names and contents."""
    whole = hashlib.sha256()
    for name, content in sorted(files.items()):
        whole.update(f"{name}\0{len(content)}\0".encode())
        whole.update(content.data)
    return whole.hexdigest()
