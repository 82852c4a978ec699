"""How long a run takes to its first step, on a small one."""

import pytest

from benchmarks.same_bytes import SHORT
from benchmarks.speed import start
from cogitate.errors import ArtifactError

SMALL = [setting for setting in SHORT if "=" in setting]


def test_a_step_begins_and_then_ends() -> None:
    begins, ends = start.first_step(SMALL)
    assert 0 < begins.clock <= ends.clock
    assert 0 < begins.processor <= ends.processor


def test_a_run_that_comes_to_no_step_is_shown_with_what_it_said() -> None:
    with pytest.raises(ArtifactError, match=r"no step of r1_zero came: error: tasks: no task is called 'nothing'"):
        start.first_step(["tasks.train=nothing"])
