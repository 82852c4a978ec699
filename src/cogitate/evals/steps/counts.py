"""What is counted of the steps of completions: of one, and of many with intervals over problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cogitate.evals.levels import is_puzzle, is_searched
from cogitate.evals.metrics import Estimate, mean_number, rate
from cogitate.evals.steps.measures import Turn, read_steps
from cogitate.tokenizer.thinking import THINK_OPEN, split_thinking
from cogitate.types import Problem


@dataclass(frozen=True, slots=True)
class StepCounts:
    """Of one completion of a puzzle.

    Attributes:
        searched: the problem has candidates to try; without them tries and rejections say nothing.
        rejects: a try is rejected and another one follows.
        self_corrections: wrong statements that were replaced by right ones.
        statements: kind -> (right ones, all).
        turn: where the thinking first turns, as a part of the completion.
    """

    searched: bool
    tries: int
    distinct_tries: int
    rejects: bool
    self_corrections: int
    statements: Mapping[str, tuple[int, int]]
    turn: Turn | None

    def row(self) -> dict[str, Any]:
        """As it stands in transcripts.jsonl and completions.jsonl."""
        right, every = (sum(count[index] for count in self.statements.values()) for index in (0, 1))
        searched = {"tries": self.tries, "distinct_tries": self.distinct_tries, "rejects_and_goes_on": self.rejects}
        return {
            **(searched if self.searched else {}),
            "self_corrections": self.self_corrections,
            "statements": every,
            "right_statements": right,
            "turn": None if self.turn is None else {"start": self.turn.start, "end": self.turn.end, "kind": self.turn.kind},
        }


def count_steps(completion: str, problem: Problem) -> StepCounts | None:
    """The steps of the thinking, or of the whole text where there is no thinking; None of a problem that is no puzzle."""
    if not is_puzzle(problem):
        return None
    parts = split_thinking(completion)
    begins = len(parts.preamble) + len(THINK_OPEN) if parts.thinking and parts.opened else 0
    steps = read_steps(parts.thinking or completion, problem)
    statements: dict[str, tuple[int, int]] = {}
    for each in steps.statements:
        right, every = statements.get(each.kind, (0, 0))
        statements[each.kind] = (right + each.right, every + 1)
    turn = steps.turn
    return StepCounts(
        searched=is_searched(problem),
        tries=len(steps.tries),
        distinct_tries=steps.distinct_tries,
        rejects=steps.rejects_and_goes_on,
        self_corrections=steps.self_corrections,
        statements=statements,
        turn=None if turn is None else Turn(turn.start + begins, turn.end + begins, turn.kind),
    )


def step_metrics(groups: Sequence[Sequence[StepCounts]]) -> dict[str, Estimate]:
    """Means over the completions of puzzles, a group for each problem; {} without any. docs/metrics.md defines each.

    `step_accuracy` is the mean over problems of the share of their statements that are right; of all kinds, and by kind.
    """
    searched = [group for group in groups if group and group[0].searched]
    result: dict[str, Estimate] = {}
    if searched:
        result["tries"] = mean_number([[float(each.tries) for each in group] for group in searched])
        result["distinct_tries"] = mean_number([[float(each.distinct_tries) for each in group] for group in searched])
        result["rejecting_rate"] = rate([[float(each.rejects) for each in group] for group in searched])
    if any(groups):
        result["self_correction_rate"] = rate([[float(each.self_corrections > 0) for each in group] for group in groups])
    kinds = sorted({kind for group in groups for each in group for kind in each.statements})
    for name, chosen in (("step_accuracy", kinds), *((f"step_accuracy.{kind}", [kind]) for kind in kinds)):
        rows = [right_statements(group, chosen) for group in groups]
        if any(rows):
            result[name] = rate(rows)
    return result


def right_statements(group: Sequence[StepCounts], kinds: Sequence[str]) -> list[float]:
    """1 or 0 for each statement of these kinds in the completions of a problem."""
    counts = [each.statements.get(kind, (0, 0)) for each in group for kind in kinds]
    right, every = sum(count[0] for count in counts), sum(count[1] for count in counts)
    return [1.0] * right + [0.0] * (every - right)
