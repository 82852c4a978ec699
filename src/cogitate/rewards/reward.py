"""The reward of a completion: accuracy + format (+ language), each part shown (arXiv:2501.12948, section 2.2.2 and 2.3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from cogitate.rewards.format import FormatContract, grade_format
from cogitate.rewards.language import language_share
from cogitate.tokenizer.thinking import ThinkingFormat, split_thinking
from cogitate.types import Problem, Verdict

RewardPart = Literal["accuracy", "format", "language"]
FORMAT_OF: Mapping[ThinkingFormat, FormatContract] = {"r1_zero": "think_answer", "r1": "think_text"}


def total_reward(
    verdict: Verdict,
    completion: str,
    problem: Problem,
    *,
    weights: Mapping[RewardPart, float],
    format: ThinkingFormat,
    prefilled: bool = False,
) -> tuple[float | None, dict[str, float]]:
    """Weighted sum of the parts, and the parts before weighting.

    Args:
        verdict: the accuracy verdict; its score counts, so that partial credit is possible.
        weights: weight of each part; a part of weight 0 is left out of the sum but still reported.
        format: the form the completion was asked for.
        prefilled: the prompt ended in `<think>`.

    Returns:
        (reward, breakdown). The reward is None where there is no verdict; accuracy is then missing from the breakdown.
    """
    parts = split_thinking(completion, prefilled=prefilled)
    share = language_share(parts.thinking or "", problem.language)
    breakdown: dict[str, float] = {} if verdict.value == "none" else {"accuracy": verdict.score}
    breakdown["format"] = grade_format(completion, FORMAT_OF[format], prefilled=prefilled).score
    breakdown["language"] = 0.0 if share is None else share  # no thinking: nothing to reward
    if verdict.value == "none":
        return None, breakdown
    return sum(weights.get(part, 0.0) * breakdown[part] for part in ("accuracy", "format", "language")), breakdown
