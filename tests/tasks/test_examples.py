"""The few-shot examples: right, graded as such, and no evaluation problem among them."""

import pytest

from cogitate.rewards.code_tests import grade_code
from cogitate.rewards.grade import grade
from cogitate.rewards.sandbox import SandboxLevel, detect_level
from cogitate.tasks.examples import EXAMPLES, examples_for
from cogitate.tasks.mixture import gather_problems
from cogitate.types import Problem

GOLDS = {
    "arithmetic": ("math", ("31", "58")),
    "word_problems": ("math", ("30", "30")),
    "logic": ("exact", ("Ben", "Amy")),
    "choice": ("choice", ("A", "C")),
}
NEEDS_SANDBOX = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")


@pytest.mark.parametrize("task", GOLDS)
def test_each_example_is_right(task):
    kind, golds = GOLDS[task]
    for (_, worked), gold in zip(EXAMPLES[task], golds, strict=True):
        assert grade(kind, worked, contract="free", gold=gold).verdict == "right", worked


@NEEDS_SANDBOX
def test_each_program_is_right():
    tests = [[[[3, 1, 2]], [4, 3, 5]], [[[]], []]], [[[[3, 1, 2]], [1, 3]], [[[]], []]]
    for (_, worked), cases in zip(EXAMPLES["code"], tests, strict=True):
        assert grade_code(worked, mode="function", entry_point="f", tests=cases).verdict == "right"


def test_no_example_is_an_evaluation_problem():
    asked = {question for examples in EXAMPLES.values() for question, _ in examples}
    spec = "arithmetic,word_problems,code,logic,choice"
    assert not asked & {p.question for p in gather_problems(spec, 500, split="eval", seed=0)}


def test_a_users_own_problem_gets_the_examples_of_its_kind():
    assert examples_for(Problem("1", "logic", "exact", "?")) is EXAMPLES["logic"]
    assert examples_for(Problem("1", "mine", "choice", "?")) is EXAMPLES["choice"]
    assert examples_for(Problem("1", "mine", "math", "?")) is EXAMPLES["arithmetic"]
    assert examples_for(Problem("1", "code", "math", "?")) is EXAMPLES["arithmetic"]  # a user's file code.jsonl


def test_every_built_in_problem_gets_the_examples_of_its_task():
    for problem in gather_problems(",".join(EXAMPLES), 25, split="train", seed=0):
        assert examples_for(problem) is EXAMPLES[problem.task]
