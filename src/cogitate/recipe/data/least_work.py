"""Rejection sampling by least work: of a problem's right programs those stay that execute the fewest instructions.

Work is counted for programs alone, by tests that are no assertions (rewards/code/efficiency.py). Where it cannot be counted, or
all programs of a problem are the same text, the most different completions stay, as they would without this choice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from cogitate.recipe.data.candidates import Candidate
from cogitate.recipe.data.rejection import most_different
from cogitate.rewards.code.efficiency import InstructionCount, can_count, count_work
from cogitate.rewards.sandbox.isolation import Isolation, open_local_sandbox
from cogitate.tasks.files.datasets import read_rows, write_rows
from cogitate.types import Problem


def has_work(problem: Problem) -> bool:
    """Whether the work of its right programs can be counted."""
    return problem.kind == "code" and can_count(problem.fields)


@dataclass
class LeastWork:
    """What rejection sampling chooses by, and what it has counted on the way.

    Attributes:
        isolation: how programs are isolated on this machine.
        kept: the directory where the counts of a finished problem stand: a killed stage counts no problem again.
        on_wait: called before each count, which takes part of a second; may raise to end everything.
        instructions: of each completion that was counted, by its id.
        before, after: of each problem with a choice, the mean instructions of its right programs and of those that stay.
        not_counted: programs without a count among such problems, by reason.
        without_a_choice: problems with more completions than may stay whose programs are all the same text.
        others: problems with more completions than may stay that have no work to count.
    """

    isolation: Isolation
    kept: Path
    on_wait: Callable[[], None]
    instructions: dict[str, int] = field(default_factory=dict)
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    not_counted: Counter[str] = field(default_factory=Counter)
    without_a_choice: int = 0
    others: int = 0

    def choose(self, candidates: Sequence[Candidate], count: int) -> list[Candidate]:
        """At most `count` of one problem's right completions: the least work first, of equal work the first one, what could not
        be counted last."""
        if len(candidates) <= count:
            return list(candidates)
        if not has_work(candidates[0].problem):
            self.others += 1
            return most_different(candidates, count)
        if len({candidate.extracted for candidate in candidates}) == 1:
            self.without_a_choice += 1
            return most_different(candidates, count)
        self._count(candidates)
        before = self._instructions(candidates)
        if not before:
            return most_different(candidates, count)
        taken = sorted(candidates, key=lambda candidate: self.instructions.get(candidate.id, math.inf))[:count]
        self.before.append(mean(before))
        self.after.append(mean(self._instructions(taken)))
        return taken

    def _instructions(self, candidates: Sequence[Candidate]) -> list[int]:
        return [self.instructions[candidate.id] for candidate in candidates if candidate.id in self.instructions]

    def _count(self, candidates: Sequence[Candidate]) -> None:
        """Count the work of each different program once, or take the counts that an earlier attempt has kept."""
        by_program: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            assert candidate.extracted is not None, "a right program was found in its completion"
            by_program.setdefault(candidate.extracted, []).append(candidate)
        path = self.kept / f"work-{candidates[0].id}.jsonl"
        found = read_counts(path) if path.is_file() else {}
        if found.keys() != by_program.keys():
            found = {program: self._count_one(program, same[0].problem) for program, same in by_program.items()}
            write_rows(path, [{"program": program, **asdict(count)} for program, count in found.items()])
        for program, same in by_program.items():
            instructions = found[program].instructions
            if instructions is None:
                self.not_counted[found[program].reason] += len(same)
            else:
                self.instructions |= {candidate.id: instructions for candidate in same}

    def _count_one(self, program: str, problem: Problem) -> InstructionCount:
        self.on_wait()
        return count_work(program, problem.fields, open_local_sandbox(self.isolation))

    def columns(self, candidate: Candidate) -> dict[str, int]:
        """What a row of data or of the ledger says of a completion's work; {} where it was not counted."""
        found = self.instructions.get(candidate.id)
        return {} if found is None else {"instructions": found}

    def summary(self) -> dict[str, Any]:
        """For a stage's summary: how many problems had a choice, and the work of their right programs before and after."""
        means = {"instructions_before": self.before, "instructions_after": self.after}
        return {
            "problems_with_a_choice": len(self.before),
            **{name: round(mean(values), 1) for name, values in means.items() if values},
            "problems_with_one_program": self.without_a_choice,
            "problems_without_work": self.others,
            "not_counted": dict(sorted(self.not_counted.items())),
        }


def read_counts(path: Path) -> dict[str, InstructionCount]:
    """The counts that were kept of a problem's programs."""
    return {row["program"]: InstructionCount(row["instructions"], row["reason"]) for _, row in read_rows(path)}
