"""One of several solutions: by what most of them say, by what a model thinks of each, or by both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Solution(NamedTuple):
    """A finished completion, as far as a choice needs it.

    Attributes:
        answer: equal answers are one vote; None, no answer, has none.
        score: 0..1, the higher the better.
    """

    answer: str | None
    score: float = 0.0


def majority(solutions: Sequence[Solution]) -> int:
    """The first solution with the answer that most have; of equal numbers the one that came first."""
    return _leader([Solution(each.answer, 1.0) for each in solutions])


def weighted(solutions: Sequence[Solution]) -> int:
    """The first solution with the answer whose solutions have the largest sum of scores."""
    return _leader(solutions)


def best(solutions: Sequence[Solution]) -> int:
    """The solution of the highest score, the first of equals. One without an answer is chosen where there is no other."""
    return max(range(len(solutions)), key=lambda n: (solutions[n].answer is not None, solutions[n].score, -n))


def _leader(solutions: Sequence[Solution]) -> int:
    sums: dict[str, float] = {}
    for each in solutions:
        if each.answer is not None:
            sums[each.answer] = sums.get(each.answer, 0.0) + each.score
    if not sums:
        return 0
    leading = max(sums, key=lambda answer: sums[answer])  # the first of equals: a dict has the order of arrival
    return next(number for number, each in enumerate(solutions) if each.answer == leading)


CHOICES: dict[str, Callable[[Sequence[Solution]], int]] = {"majority": majority, "best_of_n": best, "weighted_vote": weighted}
