"""DROP's F1 by hand, and as the data set's own script has it."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from cogitate.rewards.graders.drop import best_matching, exact_and_f1, grade_drop, normalised


@pytest.mark.parametrize(
    ("predicted", "reference", "exact", "f1"),
    [
        (["24"], ["24"], True, 1.0),
        (["24.0"], ["24"], True, 1.0),
        (["the Chicago Bears"], ["Chicago Bears"], True, 1.0),  # articles do not count
        (["Chicago"], ["Chicago Bears"], False, 0.67),  # precision 1, recall 1/2
        (["Bears of Chicago"], ["Chicago Bears"], False, 0.8),  # precision 2/3, recall 1
        (["25 yards"], ["24 yards"], False, 0.0),  # the number is another one
        (["24 long yards"], ["24 yards"], False, 0.8),
        (["Bob", "Ann"], ["Ann", "Bob"], True, 1.0),  # in any order
        (["Ann"], ["Ann", "Bob"], False, 0.5),
        (["Ann", "Bob", "Cyd"], ["Ann", "Bob"], False, 0.67),
        (["twenty-four"], ["twenty four"], True, 1.0),
        ([], ["x"], False, 0.0),
    ],
)  # fmt: skip
def test_exact_match_and_f1(predicted: list[str], reference: list[str], exact: bool, f1: float) -> None:
    assert exact_and_f1(predicted, reference) == (exact, f1)


def test_words_are_normalised_as_the_script_does() -> None:
    assert normalised("The U.S. won, 1,000-to-3!") == "us won 1000.0 to 3.0"


def test_the_best_matching_is_found_also_of_many_spans() -> None:
    assert best_matching([[0.9, 0.8], [0.8, 0.0]]) == pytest.approx(1.6)  # the largest entry alone would give 0.9
    wide = [[float(row == column) for column in range(9)] for row in range(3)]
    assert best_matching(wide) == 3.0
    assert best_matching([list(column) for column in zip(*wide, strict=True)]) == 3.0


def test_the_best_matching_of_small_tables_is_that_of_a_search_and_of_large_ones_is_not_greedy() -> None:
    numbers = random.Random(5)
    for _ in range(40):
        rows, columns = numbers.randint(1, 4), numbers.randint(4, 6)
        table = [[numbers.choice((0.0, 0.25, 0.5, 0.67, 1.0)) for _ in range(columns)] for _ in range(rows)]
        searched = max(sum(table[row][at] for row, at in enumerate(order)) for order in permutations(range(columns), rows))
        assert best_matching(table) == pytest.approx(searched)
    large = [[float(row == column) * 0.5 for column in range(8)] for row in range(8)]
    large[0][0], large[0][1], large[1][0], large[1][1] = 0.9, 0.8, 0.8, 0.0
    assert best_matching(large) == pytest.approx(1.6 + 6 * 0.5)  # the largest entry first gives 0.9 + 3.0


def test_a_completion_is_judged_by_the_best_reference_and_partly_right_has_a_score() -> None:
    references = [["Ann", "Bob"], ["Bob"]]
    assert grade_drop("<think> x </think> \\boxed{Bob; Ann}", references).value == "right"
    assert grade_drop("The answer is Bob.", references, contract="free").value == "right"
    partly = grade_drop("\\boxed{Bob Smith}", references)
    assert (partly.value, partly.score) == ("wrong", 0.67)
    assert grade_drop("<think> never closed", references).value == "wrong"
    assert grade_drop("x", [["the"]]).value == "none"
