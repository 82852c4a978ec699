"""Programs from examples: every order of steps that fits the examples is the same function."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.tasks.corpus.puzzles.programs import program
from cogitate.tasks.puzzles import programs
from cogitate.tasks.puzzles.levels import LEVELS

needs_sandbox = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")


def outcome(steps: tuple[str, ...], x: int) -> int:
    """The steps as Python reads them, one after the other."""
    for text in steps:
        x = eval(f"{x} {text}")
    return x


@pytest.mark.parametrize("level", LEVELS)
def test_what_fits_the_examples_fits_all_tests(level: int) -> None:
    rng = random.Random(level)
    for _ in range(8):
        problem = programs.draw(rng, "eval" if level > 3 else "train", level).problem()
        pairs = [(int(x), int(y)) for x, y in re.findall(r"f\((\d+)\) = (\d+)", problem.question)]
        menu = re.findall(r"[+\-*] \d+", problem.question)
        count = int(re.findall(r"(?:uses |Use |中的|中选)(\d)", problem.question)[0])
        assert len(pairs) == 2
        assert (count, len(menu)) == programs.LEVELS[level][:2]
        fitting = [steps for steps in itertools.permutations(menu, count) if all(outcome(steps, x) == y for x, y in pairs)]
        assert fitting
        for steps in fitting:
            for test in problem.fields["tests"]:
                assert outcome(steps, test["args"][0]) == test["expected"]


@needs_sandbox
def test_the_program_of_the_steps_is_right_and_a_table_of_the_examples_is_wrong() -> None:
    item = programs.draw(random.Random(1), "train", 2)
    tests = item.problem().fields["tests"]
    assert grade_code(program(item.steps), mode="function", entry_point="f", tests=tests).value == "right"
    table = f"def f(x):\n    return {dict(item.pairs)}.get(x, 0)"
    assert grade_code(f"```python\n{table}\n```", mode="function", entry_point="f", tests=tests).value == "wrong"


def test_no_order_of_the_steps_makes_an_example_negative_or_large() -> None:
    rng = random.Random(3)
    for _ in range(20):
        item = programs.draw(rng, "train")
        for steps in item.candidates():
            assert all(0 <= value <= programs.LARGEST for x, _ in item.pairs for value in programs.results(steps, x))
