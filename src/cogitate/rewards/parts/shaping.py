"""Rewards that shape the form of a completion beside its verdict: length, repetition, visible steps. Each has its source."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence


def cosine_length_reward(
    length: int,
    correct: bool,
    *,
    max_length: int,
    min_value_wrong: float = -1.0,
    max_value_wrong: float = -0.5,
    min_value_correct: float = 0.5,
    max_value_correct: float = 1.0,
) -> float:
    """A cosine of the length: short is best when right, long is least bad when wrong (arXiv:2502.03373, section 3.1).

    Args:
        length: in any unit, the same as max_length; longer counts as max_length.
    """
    cosine = math.cos(math.pi * min(length, max_length) / max_length)
    if correct:
        low, high = min_value_correct, max_value_correct
    else:
        low, high = max_value_wrong, min_value_wrong
    return low + 0.5 * (high - low) * (1 + cosine)


def repetition_penalty(items: Sequence[Hashable], *, ngram_size: int, max_penalty: float) -> float:
    """max_penalty times the share of n-grams that repeat an earlier one (arXiv:2502.03373, appendix C.2).

    Args:
        items: words or token ids; fewer than ngram_size cost nothing.
        max_penalty: at most 0.
    """
    if max_penalty > 0:
        raise ValueError(f"max_penalty must not be positive, got {max_penalty}")
    ngrams = [tuple(items[start : start + ngram_size]) for start in range(len(items) - ngram_size + 1)]
    if not ngrams:
        return 0.0
    return max_penalty * (1 - len(set(ngrams)) / len(ngrams))


def repetition_penalty_of_text(text: str, *, ngram_size: int, max_penalty: float) -> float:
    """The same over the words of a text, without regard to case; Chinese characters count as words."""
    words = re.findall(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+", text.lower())
    return repetition_penalty(words, ngram_size=ngram_size, max_penalty=max_penalty)


def soft_overlong_punishment(length: int, *, max_length: int, cache: int) -> float:
    """0 up to max_length - cache, then falling in a line to -1 at max_length (DAPO, arXiv:2503.14476, equation 13)."""
    if not 0 < cache <= max_length:
        raise ValueError(f"cache must be from 1 to max_length = {max_length}, got {cache}")
    excess = length - (max_length - cache)
    return 0.0 if excess <= 0 else max(-1.0, -excess / cache)


def length_rewards(lengths: Sequence[int], right: Sequence[bool]) -> list[float]:
    """Short is better within a group (Kimi k1.5, arXiv:2501.12599, section 2.3.3): from 0.5 for the shortest in a line to -0.5
    for the longest, of wrong ones never above 0; 0 where all are equally long.

    Args:
        lengths: of the completions of one problem.
        right: whether each of them is.
    """
    if not lengths or min(lengths) == max(lengths):
        return [0.0] * len(lengths)
    values = [0.5 - (length - min(lengths)) / (max(lengths) - min(lengths)) for length in lengths]
    return [value if is_right else min(0.0, value) for value, is_right in zip(values, right, strict=True)]


_STEP = re.compile(r"(Step \d+:|^\d+\.|\n-|\n\*|First,|Second,|Next,|Finally,)")


def reasoning_steps_reward(text: str, *, wanted: int = 3) -> float:
    """Share of the wanted number of visible steps, at most 1 (open-r1's reasoning_steps_reward)."""
    return min(1.0, len(_STEP.findall(text)) / wanted)
