"""What an RL step logs of its puzzles: tries, rejected tries, corrections, right statements; lengths of thinking by level."""

from __future__ import annotations

from collections.abc import Sequence

from cogitate.evals.levels import level_of
from cogitate.evals.steps.counts import StepCounts, count_steps, step_metrics
from cogitate.train.rl_metrics import mean
from cogitate.types import Problem, Rollout


def puzzle_metrics(rollouts: Sequence[Rollout], lengths: Sequence[int | None]) -> dict[str, float]:
    """The measures of steps as the evaluation has them, and thinking tokens by level; {} of a step without such problems.

    Args:
        lengths: tokens of the thinking of each finished completion that closed it; None of the others.
    """
    return {**steps_of_puzzles(rollouts), **thinking_by_level(rollouts, lengths)}


def steps_of_puzzles(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Values of `step_metrics`; right statements of all kinds together."""
    groups: dict[tuple[str, str], list[StepCounts]] = {}
    for rollout in rollouts:
        steps = count_steps(rollout.text, rollout.problem)
        if steps is not None:
            groups.setdefault((rollout.problem.task, rollout.problem.id), []).append(steps)
    return {name: estimate.value for name, estimate in step_metrics(list(groups.values())).items() if "." not in name}


def thinking_by_level(rollouts: Sequence[Rollout], lengths: Sequence[int | None]) -> dict[str, float]:
    """Mean length of finished thinking for each level that has any."""
    by_level: dict[int, list[int]] = {}
    for rollout, length in zip(rollouts, lengths, strict=True):
        level = level_of(rollout.problem)
        if level is not None and length is not None:
            by_level.setdefault(level, []).append(length)
    return {f"thinking_tokens_finished.level_{level}": mean(by_level[level]) for level in sorted(by_level)}


def puzzle_row(completion: str, problem: Problem) -> dict[str, object]:
    """What a transcript says of a puzzle's steps; {} of another problem."""
    steps = count_steps(completion, problem)
    return {} if steps is None else {"level": level_of(problem), **steps.row()}
