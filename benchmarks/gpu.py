"""`make test-gpu`: what only a GPU can show, checked and timed in at most five minutes. Without CUDA: one line, exit code 2."""

from __future__ import annotations

import sys

import pytest
import torch

NONE_BEGINS_AFTER, OF_A_TEST = 200, 90  # seconds: together less than five minutes, whatever compiling takes


def main() -> int:
    if not torch.cuda.is_available():
        print(f"torch {torch.__version__} finds no CUDA device: nothing was tested", file=sys.stderr)
        return 2
    limits = ["--session-timeout", str(NONE_BEGINS_AFTER), "--timeout", str(OF_A_TEST)]
    shown = ["-W", "default"]  # a warning that only this GPU's libraries have fails no test
    return int(pytest.main(["-m", "gpu", *limits, *shown, "tests/on_gpu"]))


if __name__ == "__main__":
    sys.exit(main())
