"""One of several solutions, by hand."""

from __future__ import annotations

from cogitate.search.choose import Solution, best, majority, weighted

FOUND = [Solution("5", 0.2), Solution("7", 0.9), Solution("5", 0.3), Solution(None, 0.95), Solution("5", 0.3)]


def test_most_votes_win_and_no_answer_has_none() -> None:
    assert majority(FOUND) == 0
    assert majority([Solution("7"), Solution("5")]) == 0  # of equal numbers the first
    assert majority([Solution(None), Solution(None), Solution("5")]) == 2


def test_weights_are_summed_by_answer() -> None:
    assert weighted(FOUND) == 1  # 0.9 against 0.8
    assert weighted([*FOUND, Solution("5", 0.2)]) == 0


def test_the_best_has_an_answer() -> None:
    assert best(FOUND) == 1
    assert best([Solution(None, 0.5), Solution(None, 0.6)]) == 1
    assert best([Solution("1", 0.5), Solution("2", 0.5)]) == 0
