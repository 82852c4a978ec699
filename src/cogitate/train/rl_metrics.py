"""What is logged of every step of reinforcement learning; docs/metrics.md explains each name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from cogitate.rewards.kinds import has_rules
from cogitate.train.rollouts import Phases
from cogitate.types import Rollout

TAIL_FROM = 0.9  # of completions: what comes after them is the tail


def rollout_metrics(rollouts: Sequence[Rollout]) -> dict[str, Any]:
    """Means over a step's rollouts: reward and its parts, accuracy by task, lengths, truncation, missing verdicts.

    Accuracy and verdicts are of problems that rules can judge. Where a verdict is missing, `no_verdict_reason` is a text:
    the first problem without one, and why.
    """
    judged = [r for r in rollouts if r.reward is not None]
    by_rules = [r for r in rollouts if has_rules(r.problem.kind)]
    ruled = [r for r in by_rules if r.reward is not None]
    row: dict[str, Any] = {"reward": mean(r.reward for r in rollouts if r.reward is not None)}
    for part in sorted({name for r in judged for name in r.reward_breakdown}):
        row[f"reward.{part}"] = mean(r.reward_breakdown[part] for r in judged if part in r.reward_breakdown)
    row["accuracy"] = mean(r.verdict.value == "right" for r in ruled)
    for task in sorted({r.problem.task for r in ruled}):
        row[f"accuracy.{task}"] = mean(r.verdict.value == "right" for r in ruled if r.problem.task == task)
    row["completion_tokens"] = mean(len(r.completion_ids) for r in rollouts)
    row["truncated_share"] = mean(r.finish_reason == "length" for r in rollouts)
    missing = [r for r in by_rules if r.verdict.value == "none"]
    row["no_verdict_share"] = len(missing) / max(1, len(by_rules))
    if missing:
        row["no_verdict_reason"] = f"{missing[0].problem.place}: {missing[0].verdict.reason}"
    return row


def waiting_times(times: Sequence[float], learned: float) -> dict[str, float]:
    """Who waited for whom in a step whose successor's completions were sampled meanwhile; {} where nothing was sampled.

    Args:
        times: when each completion was there.
        learned: when the policy had learnt, on the same clock.

    Returns:
        seconds: of the learner, of the generators, and between the completion that is the last of the first nine tenths and
        the last one.
    """
    if not times:
        return {}
    ordered = sorted(times)
    return {
        "seconds.learner_waits": max(0.0, ordered[-1] - learned),
        "seconds.generators_wait": max(0.0, learned - ordered[-1]),
        "seconds.straggler_tail": ordered[-1] - ordered[max(0, math.ceil(TAIL_FROM * len(ordered)) - 1)],
    }


def mean(values: Iterable[float]) -> float:
    """The mean of numbers; NaN is never written: nothing at all counts as 0."""
    numbers = [float(value) for value in values]
    return sum(numbers) / len(numbers) if numbers else 0.0


def timings(phases: Phases, total: float, *, generated: int, trained: int) -> dict[str, float]:
    """Seconds of each phase and tokens per second."""
    seconds = phases.seconds
    row: dict[str, float] = {f"seconds.{name}": value for name, value in seconds.items()}
    row |= {"seconds": total, "tokens_generated": generated, "tokens_trained": trained}
    row["tokens_per_second.generate"] = generated / seconds["generate"]
    if "train" in seconds:
        row["tokens_per_second.train"] = trained / seconds["train"]
    row["tokens_per_second"] = generated / total
    return row
