"""What an RL step logs of its puzzles: tries, rejected tries, corrections, right statements; lengths of thinking by level."""

from __future__ import annotations

from collections.abc import Sequence

from cogitate.evals.levels import level_of
from cogitate.evals.steps.counts import StepCounts, count_steps, step_metrics
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking import split_thinking
from cogitate.train.rl_metrics import mean
from cogitate.types import Problem, Rollout


def puzzle_metrics(rollouts: Sequence[Rollout], tokenizer: Tokenizer) -> dict[str, float]:
    """The measures of steps as the evaluation has them, and thinking tokens by level; {} of a step without such problems."""
    return {**steps_of_puzzles(rollouts), **thinking_by_level(rollouts, tokenizer)}


def steps_of_puzzles(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Values of `step_metrics`; right statements of all kinds together."""
    groups: dict[tuple[str, str], list[StepCounts]] = {}
    for rollout in rollouts:
        steps = count_steps(rollout.text, rollout.problem)
        if steps is not None:
            groups.setdefault((rollout.problem.task, rollout.problem.id), []).append(steps)
    return {name: estimate.value for name, estimate in step_metrics(list(groups.values())).items() if "." not in name}


def thinking_by_level(rollouts: Sequence[Rollout], tokenizer: Tokenizer) -> dict[str, float]:
    """Mean length of the thinking of finished completions that closed it, for each level that has such a completion."""
    by_level: dict[int, list[str]] = {}
    for rollout in rollouts:
        level, parts = level_of(rollout.problem), split_thinking(rollout.text)
        if level is not None and rollout.finish_reason == "stop" and parts.closed:
            by_level.setdefault(level, []).append((parts.thinking or "").strip())
    return {
        f"thinking_tokens_finished.level_{level}": mean(len(ids) for ids in tokenizer.encode_batch(by_level[level]))
        for level in sorted(by_level)
    }


def puzzle_row(completion: str, problem: Problem) -> dict[str, object]:
    """What a transcript says of a puzzle's steps; {} of another problem."""
    steps = count_steps(completion, problem)
    return {} if steps is None else {"level": level_of(problem), **steps.row()}
