"""Classes of processors: which one kernels are built for, and that those of each lower one compute the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cogitate.errors import ConfigError
from cogitate.kernels import isa

ROOT = Path(__file__).parents[2]
NUMERIC = (
    "tests/model/test_causal_attention.py", "tests/model/test_linear.py", "tests/model/test_elementwise.py",
    "tests/model/test_head.py", "tests/engine/test_generate_parity.py", "tests/train/optimisers/test_adamw.py",
    "tests/engine/bits",
)  # fmt: skip


@pytest.fixture
def an_avx2_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(isa.VARIABLE, raising=False)
    monkeypatch.setattr(isa, "available", lambda: ("avx2", "plain"))
    monkeypatch.setattr(isa, "own_isa", lambda: "avx2")


@pytest.mark.usefixtures("an_avx2_machine")
def test_kernels_are_built_for_the_machine_they_run_on_unless_a_lower_class_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (isa.isa(), isa.compiler_options()) == ("avx2", isa.NATIVE)
    monkeypatch.setenv(isa.VARIABLE, "plain")
    assert (isa.isa(), isa.compiler_options()) == ("plain", ("-march=x86-64",))


@pytest.mark.usefixtures("an_avx2_machine")
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("avx512", "COGITATE_ISA=avx512: this machine has avx2, plain"),
        ("sse", "COGITATE_ISA=sse: classes are amx, avx512, avx2, plain"),
    ],
)
def test_a_class_that_is_not_there_is_refused(asked: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isa.VARIABLE, asked)
    with pytest.raises(ConfigError, match=message):
        isa.isa()


def test_the_classes_of_this_machine_end_with_the_one_that_all_have() -> None:
    assert isa.available()[-1] == "plain"
    assert isa.available()[0] == isa.own_isa()


@pytest.mark.parametrize(
    ("own", "vendor", "faster"),
    [
        ("amx", "GenuineIntel", "bfloat16"),
        ("avx512", "AuthenticAMD", "bfloat16"),
        ("avx512", "GenuineIntel", "float32"),
        ("avx2", "AuthenticAMD", "float32"),
        ("plain", "", "float32"),
    ],
)
def test_the_faster_type_is_bfloat16_where_the_processor_multiplies_it_faster(
    own: str, vendor: str, faster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isa, "isa", lambda: own)
    monkeypatch.setattr(isa, "cpuinfo", lambda key: f"{key}\t: {vendor}")
    assert isa.faster_type() == faster


@pytest.mark.slow
@pytest.mark.parametrize("lower", isa.available()[1:])
def test_the_kernels_of_each_lower_class_pass_the_tests_of_numbers(lower: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *NUMERIC],
        cwd=ROOT, env={**os.environ, isa.VARIABLE: lower}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
