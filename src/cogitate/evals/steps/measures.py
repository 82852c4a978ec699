"""What a thinking's steps say of it: tries, rejected tries, verified corrections of itself, where it turns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cogitate.evals.steps.claims import find_claims, find_trials, said_in
from cogitate.evals.steps.statements import Statement, find_statements
from cogitate.evals.steps.tries import Try, judged, tries_of_numbers, tries_of_steps, tries_of_values
from cogitate.types import Problem

CORRECTED_WITHIN = 3  # statements: later ones of the same subject belong to another try


@dataclass(frozen=True, slots=True)
class Turn:
    """What is said where a thinking turns: that a try is not what is wanted, or the right statement in place of a wrong one."""

    start: int
    end: int
    kind: Literal["rejected try", "mended slip"]


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
        return len(self._mended())

    @property
    def turn(self) -> Turn | None:
        """The first place where the thinking rejects a try and goes on, or mends a slip; None where it does neither."""
        rejected = next((each for each in self.tries[:-1] if each.rejected), None)
        rejections = [
            each for each in self.statements if rejected and each.rejects and rejected.start <= each.start < rejected.end
        ]
        turns = [Turn(each.start, each.end, "rejected try") for each in rejections[-1:]]
        turns += [Turn(each.start, each.end, "mended slip") for each in self._mended()]
        return min(turns, key=lambda turn: turn.start, default=None)

    def _mended(self) -> list[Statement]:
        """For each wrong statement that is replaced the right one."""
        found = []
        for index in (index for index, each in enumerate(self.statements) if not each.right):
            wrong, later = self.statements[index], self.statements[index + 1 : index + 1 + CORRECTED_WITHIN]
            same = (other for other in later if other.subject == wrong.subject and other.kind == wrong.kind)
            found += [other for other in same if other.right][:1]
        return found


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
    trials = find_trials(thinking, names)
    statements = find_claims(thinking, names, said_in(problem.question, names), trials)
    tries = judged([(trial.start, str(sorted(trial.roles.items()))) for trial in trials], thinking, statements)
    return Steps(tuple(statements), tuple(tries))
