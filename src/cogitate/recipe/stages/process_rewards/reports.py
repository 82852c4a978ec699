"""How good labels of steps and a model of steps are: against a checker, and as a choice among completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cogitate.evals.metrics import rate
from cogitate.evals.steps.found_errors import RIGHT_ABOVE, as_right, best_threshold, first_error_report, ranking, step_report
from cogitate.recipe.stages.process_rewards.labels import LabelledSolution
from cogitate.search.choose import Solution, best, majority, weighted
from cogitate.search.scoring import AGGREGATES

Solutions = Sequence[LabelledSolution]


def label_report(solutions: Solutions) -> dict[str, Any]:
    """What was labelled, and how labels differ from the truth where a checker knows it."""
    steps = [label for each in solutions for label in each.labels]
    known = [each for each in solutions if each.truth is not None]
    report: dict[str, Any] = {
        "completions": len(solutions),
        "right": sum(each.right for each in solutions),
        "steps": len(steps),
        "right_steps": sum(label > 0 for label in steps),
    }
    if known and not known[0].of_outcome:
        labels = [[label > 0 for label in each.labels] for each in known]
        truth, names = [each.truth or () for each in known], list(map(name_of, known))
        report["against_checker"] = {
            **step_report(labels, truth, names), "first_error": first_error_report(labels, truth, names)
        }  # fmt: skip
    return report


def threshold_of(learnt: Solutions, scores: Sequence[Sequence[float]]) -> float | None:
    """The threshold at which the model best finds the first errors among the labels it has learnt from; None without any."""
    return best_threshold(scores, [[label > 0.5 for label in each.labels] for each in learnt])


def model_report(solutions: Solutions, scores: Sequence[Sequence[float]], chosen: float | None) -> dict[str, Any]:
    """What the model says of held-out solutions.

    Args:
        scores: of each step of each solution.
        chosen: a threshold for steps, found on other solutions.
    """
    report: dict[str, Any] = {"held_out": len(solutions)}
    if not solutions[0].of_outcome:
        labels = [[label > 0.5 for label in each.labels] for each in solutions]
        report["threshold"] = chosen
        report["against_labels"] = against(solutions, scores, labels, chosen)
        known = [number for number, each in enumerate(solutions) if each.truth is not None]
        if known:
            truth = [solutions[number].truth or () for number in known]
            report["against_checker"] = against(
                [solutions[number] for number in known], [scores[number] for number in known], truth, chosen
            )
    return report


def against(
    solutions: Solutions, scores: Sequence[Sequence[float]], truth: Sequence[Sequence[bool]], chosen: float | None
) -> dict[str, Any]:
    """What scores say of steps, held against what is known of them: at the threshold 0.5, and at the chosen one. Beside their
    ranking stands that of the policy, which trained nothing: by the least likely token of each step."""
    names, lowest = list(map(name_of, solutions)), [each.lowest for each in solutions]

    def at(threshold: float) -> dict[str, Any]:
        found = [as_right(each, threshold) for each in scores]
        return {**step_report(found, truth, names), "first_error": first_error_report(found, truth, names)}

    return {
        **at(RIGHT_ABOVE),
        "ranking": ranking(scores, truth),
        **({"policy_ranking": ranking(lowest, truth)} if all(lowest) else {}),
        "at_threshold": None if chosen is None else at(chosen),
    }


def choice_report(solutions: Solutions, scores: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Accuracy of one answer for each held-out problem, chosen in every way among its completions; {} where no problem has two
    completions."""
    groups: dict[str, list[int]] = {}
    for number, each in enumerate(solutions):
        groups.setdefault(name_of(each), []).append(number)
    most = max(map(len, groups.values()))
    if most < 2:
        return {}
    chosen: dict[str, list[list[float]]] = {}
    for numbers in groups.values():
        right = [solutions[number].right for number in numbers]
        ways: Mapping[str, float] = {
            "pass@1": sum(right) / len(right),
            "oracle": float(any(right)),
            "majority": float(right[majority(pool(solutions, numbers, [0.0] * len(numbers)))]),
            **{
                f"{way}.{name}": float(right[pick(pool(solutions, numbers, [score(scores[n]) for n in numbers]))])
                for name, score in AGGREGATES.items()
                for way, pick in (("best_of_n", best), ("weighted_vote", weighted))
            },
        }
        for way, value in ways.items():
            chosen.setdefault(way, []).append([value])
    return {"n": most, "problems": len(groups), **{way: rate(rows).as_json() for way, rows in chosen.items()}}


def pool(solutions: Solutions, numbers: Sequence[int], scores: Sequence[float]) -> list[Solution]:
    return [Solution(solutions[number].answer, score) for number, score in zip(numbers, scores, strict=True)]


def name_of(solution: LabelledSolution) -> str:
    return f"{solution.task}/{solution.problem_id}"
