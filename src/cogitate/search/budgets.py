"""Thinking budgets as a way to spend tokens, measured as s1 does (arXiv:2501.19393): control, scaling, performance."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cogitate.backend import Generator, Grader
from cogitate.evals.evaluate import Asking
from cogitate.evals.metrics import Estimate, mean_number, rate
from cogitate.runtime import derive_seed
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking_budget import WAIT, make_thinking_budget
from cogitate.train.rollouts import Phases, Sampled, sample_and_grade
from cogitate.types import Problem, SamplingParams, ThinkingBudget


@dataclass(frozen=True, slots=True)
class BudgetPoint:
    """All completions under one budget, a group for each problem.

    Attributes:
        share: of the natural length; 1: none is set, but the limit of the completion.
        at_most, at_least: thinking tokens; None: no such bound.
    """

    share: float
    at_most: int | None
    at_least: int | None
    groups: Sequence[Sequence[Sampled]]

    @property
    def right(self) -> list[list[float]]:
        return [
            [float(each.verdict.value == "right") for each in group if each.verdict.value != "none"] for group in self.groups
        ]

    @property
    def thinking(self) -> list[list[float]]:
        return [[float(each.completion.thinking_tokens or 0) for each in group] for group in self.groups]

    @property
    def accuracy(self) -> Estimate:
        return rate(self.right)

    @property
    def control(self) -> float:
        """Share of completions that think within the budget."""
        low, high = self.at_least or 0, float("inf") if self.at_most is None else self.at_most
        inside = [low <= tokens <= high for group in self.thinking for tokens in group]
        return sum(inside) / len(inside)

    def as_json(self) -> dict[str, Any]:
        tokens = [[float(len(each.completion.token_ids)) for each in group] for group in self.groups]
        return {
            "share": self.share, "at_most": self.at_most, "at_least": self.at_least, "accuracy": self.accuracy.as_json(),
            "thinking_tokens": mean_number(self.thinking).as_json(), "tokens": mean_number(tokens).as_json(),
            "control": self.control,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class BudgetCurve:
    """Accuracy over budgets, from the smallest on."""

    points: Sequence[BudgetPoint]

    @property
    def scaling(self) -> float | None:
        """The mean slope of all pairs, points of a share for one thinking token; None where all think equally long."""
        found = sorted((mean_number(point.thinking).value, point.accuracy.value) for point in self.points)
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(found, 2) if b[0] > a[0]]
        return sum(slopes) / len(slopes) if slopes else None

    def as_json(self) -> dict[str, Any]:
        bounded = [point for point in self.points if point.share != 1]
        return {
            "points": [point.as_json() for point in self.points],
            "control": sum(point.control for point in bounded) / len(bounded) if bounded else None,
            "scaling": self.scaling,
            "performance": max(point.accuracy.value for point in self.points),
        }


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """
    Attributes:
        samples: completions of each problem under each budget.
        waits: how often "Wait" may be set in place of the end of the thinking.
    """

    params: SamplingParams
    samples: int
    waits: int
    seed: int


def budget_curve(
    problems: Sequence[Problem],
    asking: Asking,
    shares: Sequence[float],
    settings: BudgetSettings,
    *,
    tokenizer: Tokenizer,
    generator: Generator,
    grader: Grader,
) -> BudgetCurve:
    """Completions without a budget, and at each share of their mean thinking: below 1 at most, above 1 at least so much."""

    def under(share: float, at_most: int | None, at_least: int | None) -> BudgetPoint:
        of_language: dict[str, ThinkingBudget] = {
            language: make_thinking_budget(
                tokenizer, at_most=at_most, at_least=at_least or 0, waits=settings.waits, language=language
            )
            for language in WAIT
        }
        asked = [
            (
                problem,
                asking.prompt_of(problem),
                tuple(derive_seed(settings.seed, "budget", problem.task, problem.id, k) for k in range(settings.samples)),
            )
            for problem in problems
        ]
        groups = sample_and_grade(
            asked, params=settings.params, contract=asking.contract, tokenizer=tokenizer, generator=generator, grader=grader,
            phases=Phases(), thinking=lambda problem: of_language["zh" if problem.language == "zh" else "en"],
        )  # fmt: skip
        return BudgetPoint(share, at_most, at_least, list(groups))

    free = under(1.0, settings.params.max_new_tokens - 1, None)
    natural = mean_number(free.thinking).value
    points = [free]
    for share in shares:
        if share != 1:
            tokens = max(1, round(share * natural))
            points.append(under(share, tokens, None) if share < 1 else under(share, None, tokens))
    return BudgetCurve(sorted(points, key=lambda point: point.share))
