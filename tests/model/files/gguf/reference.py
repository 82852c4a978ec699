"""llama.cpp as the reference, in a process of its own: for tests marked `llama_cpp`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# Another Python may have it: compiling llama.cpp for this one takes some minutes.
PYTHON = os.environ.get("COGITATE_LLAMA_CPP", sys.executable)


def ask(folder: Path, **job: Any) -> None:
    """Have ask_llama_cpp.py do a job; it says what a job is. Its answers are files beside those that the job names."""
    (folder / "job.json").write_text(json.dumps(job, default=str))
    script = Path(__file__).with_name("ask_llama_cpp.py")
    command = [PYTHON, str(script), str(folder / "job.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
