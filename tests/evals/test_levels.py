"""Figures by level, by hand."""

from __future__ import annotations

import pytest

from cogitate.evals.levels import is_puzzle, level_metrics, level_of
from cogitate.tasks.common import draw_problems
from cogitate.tasks.mixture import BUILT_IN, PUZZLES
from cogitate.types import Problem


def problem(level: object, task: str = "find_x") -> Problem:
    return Problem("1", task, "math", "x?", gold="1", fields={} if level is None else {"level": level})


def test_a_level_is_a_whole_number() -> None:
    assert [level_of(problem(level)) for level in (3, "Level 5", True, 2.5, None)] == [3, None, None, None, None]


def test_every_puzzle_is_one_and_no_other_task_is() -> None:
    for module in PUZZLES:
        assert all(is_puzzle(each) for each in draw_problems([module.TASK], 4, split="eval", seed=0))
    for task in set(BUILT_IN.values()) - {module.TASK for module in PUZZLES}:
        assert not any(is_puzzle(each) for each in draw_problems([task], 3, split="eval", seed=0))


def test_each_level_has_its_accuracy_and_number_of_problems_and_what_is_above_three_extrapolates() -> None:
    problems = [problem(level) for level in (1, 4, 1, 5, 4, 2)]
    right = [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0], []]  # the last has no verdict
    found = level_metrics(problems, right)
    assert {name: (each["value"], each["problems"]) for name, each in found.items()} == {
        "pass@1.level_1": (pytest.approx(0.75), 2),
        "pass@1.level_4": (pytest.approx(0.25), 2),
        "pass@1.level_5": (0.5, 1),
        "extrapolation": (pytest.approx(1 / 3), 3),
    }
    low, high = found["extrapolation"]["ci95"]
    assert low < 1 / 3 < high


def test_levels_of_a_file_say_nothing_of_what_training_shows() -> None:
    assert level_metrics([problem(5, "mine")], [[1.0]]).keys() == {"pass@1.level_5"}
    assert level_metrics([problem(None), problem("hard")], [[1.0], [0.0]]) == {}
