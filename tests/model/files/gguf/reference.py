"""llama.cpp as the reference, in a Python of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def python_with_llama_cpp() -> str:
    """Skips the test where there is none."""
    if importlib.util.find_spec("llama_cpp") is not None:
        return sys.executable
    named = os.environ.get("COGITATE_LLAMA_CPP")
    if named is None:
        pytest.skip("llama.cpp is not here: install llama-cpp-python, or name a Python that has it in COGITATE_LLAMA_CPP")
    return named


def ask(folder: Path, **job: Any) -> None:
    """Have ask_llama_cpp.py do a job; it says what a job is. Its answers are files beside those that the job names."""
    (folder / "job.json").write_text(json.dumps(job, default=str))
    script = Path(__file__).with_name("ask_llama_cpp.py")
    result = subprocess.run(
        [python_with_llama_cpp(), str(script), str(folder / "job.json")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
