"""Which step of a solution is wrong, as a checker finds it: what estimated labels and models of steps are held against."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from cogitate.evals.steps.measures import read_steps
from cogitate.tokenizer.thinking import THINK_OPEN, split_thinking
from cogitate.types import PLACE, Problem


def has_true_steps(problem: Problem) -> bool:
    """Whether a checker knows the steps of a problem: those of our generators, whose texts state sums and comparisons."""
    return PLACE not in problem.fields and problem.kind in ("math", "countdown", "logic")


def true_steps(pieces: Sequence[str], problem: Problem, *, right: bool) -> list[bool]:
    """Whether each step is right: it ends no statement that is wrong. Where nothing stated is wrong and the answer is, the last
    step is wrong. A step that states nothing is right.

    Args:
        pieces: the texts of the steps, which together are the completion as a reader sees it, in R1's tags.
        right: the verdict on the answer.
    """
    text = "".join(pieces)
    parts = split_thinking(text)
    begins = len(parts.preamble) + len(THINK_OPEN) if parts.thinking and parts.opened else 0
    ends = list(accumulate(map(len, pieces)))
    found = [True] * len(pieces)
    for statement in read_steps(parts.thinking or text, problem).statements:
        if not statement.right:
            found[next(number for number, end in enumerate(ends) if begins + statement.end <= end)] = False
    if not right and all(found):
        found[-1] = False
    return found


def first_wrong(steps: Sequence[bool]) -> int | None:
    """The number of the first wrong step, from 0; None where all are right."""
    return next((number for number, right in enumerate(steps) if not right), None)
