"""How well wrong steps are found: step by step, and the first one of each solution as in ProcessBench (arXiv:2412.06559)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cogitate.evals.metrics import rate, share_of_completions
from cogitate.evals.steps.correctness import first_wrong

RIGHT_ABOVE = 0.5  # a step is taken to be right above this score


def as_right(scores: Sequence[float], threshold: float = RIGHT_ABOVE) -> list[bool]:
    return [score > threshold for score in scores]


def best_threshold(scores: Sequence[Sequence[float]], truth: Sequence[Sequence[bool]]) -> float | None:
    """The threshold of the highest first-error F1, of equal ones the lowest: ProcessBench chooses one for each process model on
    one of its subsets. None without both solutions that have a wrong step and solutions that have none.

    The first error of a solution is found from its score on, up to the lowest score before it; a right solution is taken to be
    right below its lowest score. So only these scores can be thresholds.
    """
    found_from, found_below, right_below = list[float](), list[float](), list[float]()
    for mine, true in zip(scores, truth, strict=True):
        wrong = first_wrong(true)
        if wrong is None:
            right_below.append(min(mine))
        else:
            found_from.append(mine[wrong])
            found_below.append(max(mine[wrong], min(mine[:wrong], default=1.0)))
    if not found_from or not right_below:
        return None
    tried = np.unique([0.0, *found_from, *found_below, *right_below])
    found = np.searchsorted(np.sort(found_from), tried, "right") - np.searchsorted(np.sort(found_below), tried, "right")
    wrong_share = found / len(found_from)
    right_share = 1 - np.searchsorted(np.sort(right_below), tried, "right") / len(right_below)
    sums = np.maximum(wrong_share + right_share, 1e-12)
    best = int(np.argmax(2 * wrong_share * right_share / sums))
    return float(tried[best : best + 2].mean())  # halfway to the next score, which would change what is found


def step_report(found: Sequence[Sequence[bool]], truth: Sequence[Sequence[bool]], problems: Sequence[str]) -> dict[str, Any]:
    """Steps up to the first one that truth says is wrong: what comes after it follows from it.

    Args:
        found, truth: of each solution, whether each step is right. `found` may end early, where a label is known no further.
        problems: of each solution, whose it is: intervals are over problems.

    Returns:
        {"steps", "wrong": share of steps that are wrong, "accuracy", "precision", "recall", "f1"}, the latter three of finding
        wrong steps; None where there are none to find or none is found.
    """
    by_problem: dict[str, list[float]] = {}
    counts = {(a, b): 0 for a in (False, True) for b in (False, True)}
    for mine, true, problem in zip(found, truth, problems, strict=True):
        wrong = first_wrong(true)
        last = len(true) if wrong is None else wrong + 1
        for one, other in list(zip(mine, true, strict=False))[:last]:
            counts[one, other] += 1
            by_problem.setdefault(problem, []).append(float(one == other))
    steps, hits = sum(counts.values()), counts[False, False]
    called, wrong_ones = hits + counts[False, True], hits + counts[True, False]
    return {
        "steps": steps,
        "wrong": wrong_ones / steps if steps else None,
        "accuracy": rate(list(by_problem.values())).as_json() if steps else None,
        "precision": hits / called if called else None,
        "recall": hits / wrong_ones if wrong_ones else None,
        "f1": 2 * hits / (called + wrong_ones) if called + wrong_ones else None,
    }


def ranking(scores: Sequence[Sequence[float]], truth: Sequence[Sequence[bool]]) -> float | None:
    """The chance that a right step has a higher score than a wrong one (the area under the ROC curve; equal scores count half),
    over steps up to the first wrong one of each solution. It needs no threshold. None where one kind is missing."""
    of: dict[bool, list[float]] = {True: [], False: []}
    for mine, true in zip(scores, truth, strict=True):
        wrong = first_wrong(true)
        for score, is_right in list(zip(mine, true, strict=False))[: len(true) if wrong is None else wrong + 1]:
            of[is_right].append(score)
    if not of[True] or not of[False]:
        return None
    right, wrong_ones = np.sort(of[True]), np.asarray(of[False])
    above = len(right) - (np.searchsorted(right, wrong_ones, "left") + np.searchsorted(right, wrong_ones, "right")) / 2
    return float(above.sum() / (len(right) * len(wrong_ones)))


def first_error_report(
    found: Sequence[Sequence[bool]], truth: Sequence[Sequence[bool]], problems: Sequence[str]
) -> dict[str, Any]:
    """ProcessBench's figures: of solutions with a wrong step the share whose first one is found exactly, of the others that in
    which none is found, and the harmonic mean of the two. Every solution counts alike; intervals are clustered by problem.

    Returns:
        {"wrong", "right": shares with their intervals and `of`, None without such solutions, "f1": None without both}.
    """
    rows: dict[bool, dict[str, list[float]]] = {True: {}, False: {}}
    for mine, true, problem in zip(found, truth, problems, strict=True):
        first = first_wrong(true)
        rows[first is None].setdefault(problem, []).append(float(first_wrong(mine) == first))
    shares: dict[str, Any] = {}
    for name, chosen in (("wrong", rows[False]), ("right", rows[True])):
        count = sum(map(len, chosen.values()))
        shares[name] = {**share_of_completions(list(chosen.values())).as_json(), "of": count} if count else None
    values = [each["value"] for each in shares.values() if each]
    both = len(values) == 2
    f1 = (2 * values[0] * values[1] / sum(values) if sum(values) else 0.0) if both else None
    return {**shares, "f1": f1}
