"""Rewards that both sides of a GRPO step compute from a completion's token ids alone. Standard library alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def coin(ids: Sequence[int]) -> float:
    """Whether the sum of the ids is odd: nothing to be learnt, every group alive."""
    return float(sum(ids) % 2)


def odd_share(ids: Sequence[int]) -> float:
    """The share of odd ids: about a half at first, and soon learnt. The end token is 0, so that ending early earns nothing."""
    return sum(token % 2 for token in ids) / len(ids)


REWARDS: dict[str, Callable[[Sequence[int]], float]] = {"coin": coin, "odd_share": odd_share}
