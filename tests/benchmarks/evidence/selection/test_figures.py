"""pass@k, votes, and what one side solves and the other does not, worked by hand."""

from __future__ import annotations

import pytest

from benchmarks.evidence.selection.figures import BASE, SEARCHER, VOTERS, ZERO, Solved, Ways, figures, only, solved, votes
from benchmarks.evidence.selection.page import as_markdown
from cogitate.evals.evaluate import Measured
from cogitate.types import Problem

PROBLEMS = [
    Problem("find_x:1:first", "find_x", "math", "?", gold="5", fields={"level": 1}),
    Problem("find_x:2:second", "find_x", "math", "?", gold="6", fields={"level": 2}),
    Problem("countdown:5:third", "countdown", "countdown", "?", fields={"level": 5}),
]


def rows(*right: tuple[float, ...]) -> Solved:
    """One model; every completion of the last problem rejects a try."""
    right_ones = [list(row) for row in right]
    return Solved(right_ones, [[1.0], [0.0], []], [[0.0] * 4, [0.0] * 4, [1.0] * 4], [[0.0] * 4] * 3)


@pytest.fixture
def ways() -> Ways:
    base = rows((1, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0))
    searcher = rows((1, 1, 0, 0), (0, 0, 0, 0), (1, 0, 0, 0))
    zeros = [rows((1, 1, 1, 1), (0, 0, 0, 0), (1, 1, 0, 0)), rows((1, 1, 1, 1), (1, 0, 0, 0), (0, 0, 0, 0))]
    return {BASE: [base] * 2, SEARCHER: [searcher] * 2, ZERO: zeros}


def test_pass_at_k_is_unbiased_pooled_over_seeds_and_paired(ways: Ways) -> None:
    found = figures(PROBLEMS, ways, 4)["pass@k"]
    every = found["all"]
    assert list(every[BASE]) == ["pass@1", "pass@4"]
    assert every[BASE]["pass@1"]["value"] == pytest.approx(1 / 6)
    assert every[BASE]["pass@4"]["value"] == pytest.approx(2 / 3)
    assert every[ZERO]["pass@1"]["value"] == pytest.approx((1 + 0 + 0.5 + 1 + 0.25 + 0) / 6)
    assert every["R1-Zero less base"]["pass@4"]["value"] == pytest.approx(0)
    assert every["R1-Zero less base"]["pass@1"]["ci95"][0] < every["R1-Zero less base"]["pass@1"]["value"]
    assert found["levels 1 to 3, as trained"]["problems"] == found["find_x"]["problems"] == 2
    assert found["level 5"][SEARCHER]["pass@1"]["value"] == 0.25
    assert "level 3" not in found


def test_what_one_solves_and_the_other_does_not_is_counted_beside_chance(ways: Ways) -> None:
    found = figures(PROBLEMS, ways, 4)["one and not the other"]
    assert set(found) == {"all", "level 1", "level 2", "level 5", "levels 1 to 3, as trained", "levels 4 and 5, never trained"}
    counts = {name: each["problems"] for name, each in found["all"].items()}
    assert counts == {
        "R1-Zero in 4, base not in 4": pytest.approx(0.5),  # the third problem, at one of two seeds
        "R1-Zero in 4, base not in 4 with either prompt": pytest.approx(0),
        "base in 4, R1-Zero not in 4": pytest.approx(0.5),  # the second one, at the other seed
        "R1-Zero in 2, base not in 2": pytest.approx(1),
        "base in 2 others, base not in 2": pytest.approx(1),  # the second one
    }
    assert found["all"]["R1-Zero in 4, base not in 4"]["of"] == 3


def test_problems_without_a_verdict_on_one_side_do_not_count() -> None:
    found = only([[[1.0], [1.0], []]], [[[0.0], [], [0.0]]])
    assert (found["problems"], found["of"]) == (1.0, 1)


def test_votes_are_taken_by_sixteen_and_ties_are_split() -> None:
    most_wrong = ["3"] * 9 + ["4"] * 7
    most_right = ["4"] * 12 + ["3"] * 4
    tie = ["4"] * 8 + ["3"] * 8
    answers = [*most_wrong, *most_right, *tie, "4"]  # the last one is of no whole group
    assert votes(answers, [answer == "4" for answer in answers]) == [0.0, 1.0, 0.5]
    assert VOTERS == 16
    assert votes(["4", "4", "3"], [True, True, False]) == [1.0]
    assert votes(["4"] * 16, [None] * 16) == []


def test_answers_of_countdown_cannot_be_compared_and_have_no_votes() -> None:
    def measured(problem: Problem, right: bool) -> Measured:
        extracted = "5" if right else None
        return Measured(problem, right, float(right), extracted, "", 3, None, True, True, False, False, "")

    found = solved([[measured(problem, True), measured(problem, False)] for problem in (PROBLEMS[0], PROBLEMS[2])])
    assert found.right == [[1.0, 0.0], [1.0, 0.0]]
    assert found.votes == [[1.0], []]  # who finds no answer does not vote
    assert found.rejects == [[], []]


def test_the_page_has_every_table(ways: Ways) -> None:
    page = as_markdown({
        "base": {"model": "base", "prompt": "few_shot", "pass@1 by prompt": {}}, "r1_zero": ["a", "b"], "problems": 3,
        "settings": {"samples": 4, "temperature": 0.6, "top_p": 0.95, "max_new_tokens": 640, "seed": 0},
        "examples": [{"family": "find_x", "language": "en", "question": "What is x?", "solution": "Try 4: no. Try 5: yes."}],
        **figures(PROBLEMS, ways, 4),
    })  # fmt: skip
    assert "best of its prompts (few-shot), R1-Zero (a, b) in its own form" in page
    assert "| base | 16.7 [" in page
    assert "| R1-Zero in 4, base not in 4 | 0.5 of 3: 16.7 [" in page
    assert "| R1-Zero | 50.0 [" in page
    assert "Question: What is x?\nAnswer: Try 4: no. Try 5: yes." in page
