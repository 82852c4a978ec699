"""What is counted of the steps of a completion, and the means with their intervals, by hand."""

from __future__ import annotations

import random

import pytest

from cogitate.evals.steps.counts import StepCounts, count_steps, step_metrics
from cogitate.tasks.puzzles import countdown, long_sums
from cogitate.types import PLACE, Problem

COUNTDOWN = Problem("1", "countdown", "countdown", "Use 4, 1 and 10.", fields={"numbers": [4, 1, 10], "target": 6, "level": 2})
SUM = Problem("2", "long_sums", "math", "What is 37 + 45 - 8?", gold="74", fields={"level": 1})
TRIED = "Try 4 + 10 = 14, 14 + 1 = 15, not 6. Try 10 - 4 = 6, 6 * 1 = 6, yes."
MENDED = "37 + 45 = 72, wait, 37 + 45 = 82. 82 - 8 = 74."


def counted(text: str, problem: Problem) -> StepCounts:
    found = count_steps(text, problem)
    assert found is not None
    return found


@pytest.mark.parametrize("form", ["{}", "<think> {} </think> <answer> 10 - 4 </answer>", "Well. <think>{}", "{} </think> 6"])
def test_the_turn_is_a_part_of_the_whole_completion(form: str) -> None:
    completion = form.format(TRIED)
    steps = counted(completion, COUNTDOWN)
    assert steps.turn is not None
    assert completion[steps.turn.start : steps.turn.end] == ", not 6"
    assert steps.statements == {"equation": (4, 4), "comparison": (2, 2)}
    row = steps.row()
    assert (row["tries"], row["distinct_tries"], row["rejects_and_goes_on"], row["self_corrections"]) == (2, 2, True, 0)
    assert row["turn"] == {"start": steps.turn.start, "end": steps.turn.end, "kind": "rejected try"}


def test_what_stands_in_the_answer_is_no_step_of_the_thinking() -> None:
    steps = counted("<think> 4 + 10 = 15 </think> <answer> 10 - 4 = 6 </answer>", COUNTDOWN)
    assert steps.statements == {"equation": (0, 1)}
    assert steps.row()["turn"] is None


def test_long_sums_have_no_tries() -> None:
    row = counted(MENDED, SUM).row()
    assert row.keys() == {"self_corrections", "statements", "right_statements", "turn"}
    assert (row["self_corrections"], row["statements"], row["right_statements"]) == (1, 3, 2)


def test_only_puzzles_of_ours_are_counted() -> None:
    rng = random.Random(0)
    for module in (countdown, long_sums):
        assert count_steps(TRIED, module.draw(rng, "eval", 5).problem()) is not None
    assert count_steps(TRIED, Problem("1", "arithmetic", "math", "1 + 1?", gold="2", fields={"level": 1})) is None
    without = {"numbers": [4, 1, 10], "target": 6}
    for fields in (without, {**without, "level": "easy"}, {**without, "level": 2, PLACE: "countdown.jsonl, line 1"}):
        assert count_steps(TRIED, Problem("1", "countdown", "countdown", "?", fields=fields)) is None


def test_means_are_over_problems_with_intervals() -> None:
    once = counted("Try 4 + 10 = 14, 14 + 1 = 16, not 6.", COUNTDOWN)
    tried, mended = counted(TRIED, COUNTDOWN), counted(MENDED, SUM)
    found = step_metrics([[tried, once], [once, once], [mended, mended]])
    assert {name: estimate.value for name, estimate in found.items()} == {
        "tries": pytest.approx(5 / 4),  # long sums have none and do not count
        "distinct_tries": pytest.approx(5 / 4),
        "rejecting_rate": pytest.approx(1 / 4),
        "self_correction_rate": pytest.approx(1 / 3),
        "step_accuracy": pytest.approx((8 / 9 + 4 / 6 + 4 / 6) / 3),
        "step_accuracy.comparison": 1.0,
        "step_accuracy.equation": pytest.approx((5 / 6 + 2 / 4 + 4 / 6) / 3),
    }
    for estimate in found.values():
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < estimate.value <= estimate.high


def test_without_puzzles_or_statements_there_is_nothing_to_mean() -> None:
    assert step_metrics([]) == step_metrics([[], []]) == {}
    silent = counted("", SUM)
    assert step_metrics([[silent]]).keys() == {"self_correction_rate"}
