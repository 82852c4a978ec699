"""Which step is wrong, and how well wrong ones are found, on examples worked by hand."""

from __future__ import annotations

import random

import pytest

from cogitate.evals.steps.correctness import first_wrong, has_true_steps, true_steps
from cogitate.evals.steps.found_errors import as_right, best_threshold, first_error_report, ranking, step_report
from cogitate.types import PLACE, Problem

PROBLEM = Problem("1", "arithmetic", "math", "Compute 5 + 4 - 2.", "7")


def test_a_step_is_wrong_where_it_states_something_wrong() -> None:
    pieces = [" <think> First 5 + 4 = 8.", " Then 8 - 2 = 6.", " </think> <answer> 6 </answer>"]
    assert true_steps(pieces, PROBLEM, right=False) == [False, True, True]
    assert first_wrong([False, True, True]) == 0


def test_a_wrong_answer_after_right_statements_is_the_last_steps_fault() -> None:
    pieces = [" <think> First 5 + 4 = 9.", " Then 9 - 2 = 7.", " </think> <answer> 9 </answer>"]
    assert true_steps(pieces, PROBLEM, right=False) == [True, True, False]
    assert first_wrong(true_steps(pieces, PROBLEM, right=True)) is None


def test_the_steps_of_a_users_problem_are_not_known() -> None:
    assert has_true_steps(PROBLEM)
    assert not has_true_steps(Problem("1", "mine", "math", "", "7", fields={PLACE: "mine.jsonl, line 1"}))


def test_wrong_steps_are_counted_up_to_the_first_one() -> None:
    truth = [[True, False, True], [True, True]]
    found = [[True, False, False], [True, False]]
    report = step_report(found, truth, ["p", "q"])
    assert (report["steps"], report["wrong"]) == (4, 0.25)
    assert (report["precision"], report["recall"], report["f1"]) == (0.5, 1.0, pytest.approx(2 / 3))


def test_the_first_error_is_found_exactly_or_not_at_all() -> None:
    truth = [[True, False, True], [False, True], [True, True]]
    found = [[True, False, True], [True, False], [True, True]]
    report = first_error_report(found, truth, ["p", "q", "r"])
    assert (report["wrong"]["value"], report["right"]["value"]) == (0.5, 1.0)
    assert report["f1"] == pytest.approx(2 / 3)
    assert first_error_report(found[:1], truth[:1], ["p"])["f1"] is None


def test_every_solution_counts_alike_in_the_first_error() -> None:
    truth, found = [[False]] * 4, [[False]] * 3 + [[True]]
    report = first_error_report(found, truth, ["p", "p", "p", "q"])
    assert (report["wrong"]["value"], report["wrong"]["of"]) == (0.75, 4)
    low, high = report["wrong"]["ci95"]
    assert 0 < low < 0.75 < high <= 1


def test_the_threshold_is_that_of_the_best_first_error_f1() -> None:
    scores = [[0.9, 0.7], [0.95, 0.6, 0.2], [0.97, 0.92], [0.99, 0.99]]
    truth = [[True, False], [True, False, True], [True, True], [True, True]]
    threshold = best_threshold(scores, truth)
    assert threshold is not None
    assert 0.7 <= threshold < 0.9
    found = [as_right(each, threshold) for each in scores]
    assert first_error_report(found, truth, list("pqrs"))["f1"] == 1
    assert best_threshold(scores[:2], truth[:2]) is None
    rng = random.Random(0)
    many = [[rng.random() for _ in range(4)] for _ in range(40)]
    labels = [[rng.random() < score + 0.3 for score in each] for each in many]
    tried = {
        at: first_error_report([as_right(each, at) for each in many], labels, ["p"] * 40)["f1"]
        for at in (best_threshold(many, labels) or 0.0, *(score for each in many for score in each))
    }  # fmt: skip
    assert tried[best_threshold(many, labels) or 0.0] == pytest.approx(max(tried.values()))


def test_ranking_needs_no_threshold() -> None:
    truth = [[True, False, True], [True, True]]
    assert ranking([[0.9, 0.8, 0.1], [0.95, 0.7]], truth) == pytest.approx(2 / 3)  # what follows the wrong step does not count
    assert ranking([[0.9, 0.8, 0.1], [0.8, 0.8]], truth) == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert ranking([[0.5]], [[True]]) is None
