"""Limits of a class reach what is measured: our kernels and the libraries beside them."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.isa_limits import can_be_limited, limits
from cogitate.kernels.isa import available, own_isa

SHOWS = """
import json, torch
from cogitate.kernels.isa import isa
print(json.dumps([isa(), torch.backends.cpu.get_cpu_capability()]))
"""


def test_the_machines_own_class_is_not_limited() -> None:
    assert limits(own_isa()) == {}
    assert can_be_limited("llamacpp", own_isa())


@pytest.mark.skipif("avx2" not in available()[1:], reason="avx2 is this machine's own class, or it has it not")
def test_a_lower_class_limits_our_kernels_and_pytorch_and_leaves_out_who_cannot_be_limited() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOWS], env={**os.environ, **limits("avx2")}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == ["avx2", "AVX2"]
    assert not can_be_limited("llamacpp", "avx2")
    assert can_be_limited("trl", "avx2")
