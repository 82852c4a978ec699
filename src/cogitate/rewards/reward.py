"""The reward of a completion: the weighted sum of its parts, each part shown.

Accuracy, format and language are R1's (arXiv:2501.12948, sections 2.2.2 and 2.3.2); further parts are set by `rewards.parts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.parts.table import PARTS
from cogitate.tokenizer.thinking import ThinkingFormat

ALWAYS_SHOWN = ("accuracy", "format", "language")


def total_reward(
    completion: SampledCompletion,
    *,
    weights: Mapping[str, float],
    format: ThinkingFormat,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[float | None, dict[str, float]]:
    """Weighted sum of the parts, and the parts before weighting.

    Args:
        completion: with its verdict. The verdict's score is the accuracy, so that partial credit is possible. The values of a
            user's own parts stand in the verdict.
        weights: weight of each part. Accuracy, format and language are always shown, further parts where they are in here;
            the sum is taken in this order, so that equal settings give equal bits.
        format: the form the completion was asked for.
        settings: of further built-in parts, by their names.

    Returns:
        (reward, breakdown). The reward is None where there is no verdict; the breakdown is then of format and language alone.
    """
    verdict = completion.verdict
    of_parts: dict[str, Mapping[str, Any]] = {**(settings or {}), "format": {"form": format}}

    def value_of(name: str) -> float:
        if name in verdict.parts:
            return verdict.parts[name]
        assert name in PARTS, f"the grader gave no value of rewards.parts.{name}"
        return PARTS[name](completion, **of_parts.get(name, {}))

    if verdict.value == "none":
        return None, {name: value_of(name) for name in ("format", "language")}
    breakdown = {name: value_of(name) for name in dict.fromkeys([*ALWAYS_SHOWN, *weights])}
    return sum(weights.get(name, 0.0) * value for name, value in breakdown.items()), breakdown
