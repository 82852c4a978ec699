"""Differences of two measurements on the same problems, by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cogitate.evals.evaluate import Measured
from cogitate.evals.metrics import Estimate, paired_difference

Key = tuple[str, str, str]  # task, problem id, question: two files may use one id for different problems
Values = Mapping[Key, Sequence[float]]  # of each problem, one value for each completion that has a verdict


@dataclass(frozen=True, slots=True)
class Difference:
    """first - second with its 95 % interval, over the `problems` that both have values for."""

    estimate: Estimate
    problems: int


def right_by_problem(groups: Sequence[Sequence[Measured]]) -> dict[Key, list[float]]:
    """1 or 0 for each completion with a verdict."""
    return {
        (group[0].problem.task, group[0].problem.id, group[0].problem.question): [
            float(each.right) for each in group if each.right is not None
        ]
        for group in groups
    }


def paired_by_task(first: Values, second: Values) -> dict[str, Difference]:
    """first - second of two rates by task, and for all tasks together as "all"; a task without a common problem is left out.

    The completions of a problem are compared as a whole: the difference of their means is the mean difference of its samples,
    and the interval is clustered by problem.
    """
    common = [key for key in first if key in second and first[key] and second[key]]
    found: dict[str, Difference] = {}
    for task in [*dict.fromkeys(key[0] for key in common), *(["all"] if common else [])]:
        keys = [key for key in common if task in (key[0], "all")]
        found[task] = Difference(paired_difference([first[key] for key in keys], [second[key] for key in keys]), len(keys))
    return found
