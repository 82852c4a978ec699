"""What a thinking's steps say of it: tries, rejected tries, verified corrections of itself, single-step accuracy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cogitate.evals.steps.claims import find_claims, find_trials, said_in
from cogitate.evals.steps.statements import Statement, find_statements
from cogitate.evals.steps.tries import Try, judged, tries_of_numbers, tries_of_steps, tries_of_values
from cogitate.types import Problem

CORRECTED_WITHIN = 3  # statements: later ones of the same subject belong to another try


@dataclass(frozen=True, slots=True)
class Steps:
    """What was found in a thinking, in the order in which it stands there."""

    statements: tuple[Statement, ...]
    tries: tuple[Try, ...]

    @property
    def distinct_tries(self) -> int:
        """Without those that repeat an earlier candidate."""
        return len({each.candidate for each in self.tries})

    @property
    def rejects_and_goes_on(self) -> bool:
        """A try is rejected, and another one follows."""
        return any(each.rejected for each in self.tries[:-1])

    @property
    def self_corrections(self) -> int:
        """Wrong statements that a right one of the same subject replaces, at most CORRECTED_WITHIN statements later."""
        return sum(
            any(
                later.subject == each.subject and later.kind == each.kind and later.right
                for later in self.statements[after:until]
            )
            for each, after, until in (
                (each, index + 1, index + 1 + CORRECTED_WITHIN) for index, each in enumerate(self.statements) if not each.right
            )
        )


def read_steps(thinking: str, problem: Problem) -> Steps:
    """The statements and tries of a thinking about a problem of any kind; tries are those of the puzzles."""
    if problem.kind == "logic":
        return _of_knights(thinking, problem)
    statements = find_statements(thinking, wanted_of(problem))
    if problem.kind == "countdown":
        tries = tries_of_numbers(thinking, statements, problem.fields["numbers"])
    elif problem.kind == "code":
        tries = tries_of_steps(thinking, statements)
    else:
        tries = tries_of_values(thinking, statements)
    return Steps(tuple(statements), tuple(tries))


def wanted_of(problem: Problem) -> frozenset[int] | None:
    """The results that a try is compared with; None where they depend on the try."""
    if problem.kind == "countdown":
        return frozenset([int(problem.fields["target"])])
    if problem.kind == "code":
        shown = frozenset(int(value) for value in re.findall(r"(?<![A-Za-z])f\(\d+\) = (\d+)", problem.question))
        return shown or None
    return None


def _of_knights(thinking: str, problem: Problem) -> Steps:
    names = list(problem.gold)
    statements = find_claims(thinking, names, said_in(problem.question, names))
    trials = [(trial.start, str(sorted(trial.roles.items()))) for trial in find_trials(thinking, names)]
    tries = judged(trials, thinking, statements)
    return Steps(tuple(statements), tuple(tries))


@dataclass(frozen=True, slots=True)
class StepMeasures:
    """Means over completions. All but `step_accuracy` are of completions, it is of statements.

    Attributes:
        tries, distinct_tries: per completion.
        rejecting_rate: share of completions that reject a try and go on.
        self_correction_rate: share of completions with at least one verified correction.
        step_accuracy: share of statements that are right, by kind and of "all"; kinds without any statement are left out.
    """

    tries: float
    distinct_tries: float
    rejecting_rate: float
    self_correction_rate: float
    step_accuracy: dict[str, float]


def measure_steps(completions: Iterable[tuple[str, Problem]]) -> StepMeasures:
    """Of (thinking, problem) pairs; an empty thinking has no tries.

    Raises:
        ValueError: there are no completions.
    """
    read = [read_steps(thinking, problem) for thinking, problem in completions]
    if not read:
        raise ValueError("no completions to measure")
    return StepMeasures(
        tries=_mean([len(steps.tries) for steps in read]),
        distinct_tries=_mean([steps.distinct_tries for steps in read]),
        rejecting_rate=_mean([steps.rejects_and_goes_on for steps in read]),
        self_correction_rate=_mean([steps.self_corrections > 0 for steps in read]),
        step_accuracy=step_accuracy([statement for steps in read for statement in steps.statements]),
    )


def step_accuracy(statements: Sequence[Statement]) -> dict[str, float]:
    """Share of right statements by kind, and of all."""
    kinds = sorted({each.kind for each in statements})
    shares: dict[str, float] = {kind: _mean([each.right for each in statements if each.kind == kind]) for kind in kinds}
    return {**shares, "all": _mean([each.right for each in statements])} if statements else {}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
