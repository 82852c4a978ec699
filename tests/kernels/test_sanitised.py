"""Kernels built with the compiler's sanitisers pass their tests without a read or write outside of memory, or an overflow.

What the tile registers read and write is not seen by them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cogitate.kernels import isa
from tests.kernels.test_isa import NUMERIC, ROOT

DECODING = (
    "tests/engine/test_decode.py", "tests/engine/test_decode_mtp.py", "tests/engine/test_sampling.py",
    "tests/engine/prompts/test_prefixes.py", "tests/engine/drafts", "tests/kernels/test_callers.py",
    "tests/model/test_bfloat16.py",
)  # fmt: skip
COMPILER = """#!/bin/sh
exec g++ "$@" -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -O1 -g
"""


def library(name: str) -> str:
    """The path of one of GCC's libraries; its bare name where it is not there."""
    return subprocess.run(["g++", f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("built_for", isa.available())
def test_sanitisers_find_nothing(built_for: str, tmp_path: Path) -> None:
    preloaded = [library("libasan.so"), library("libstdc++.so")]  # the second: exceptions are thrown through the first
    if not all(Path(name).is_absolute() for name in preloaded):
        pytest.skip("g++ has no sanitisers")
    compiler = tmp_path / "sanitising"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    environment = {
        "CXX": str(compiler), "LD_PRELOAD": " ".join(preloaded), "ASAN_OPTIONS": "detect_leaks=0",
        "XDG_CACHE_HOME": str(tmp_path), isa.VARIABLE: built_for,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *NUMERIC, *DECODING],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
