"""The built-in parts of the reward: name -> function of the completion, whose keyword arguments are the part's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cogitate.rewards.format import FormatContract, grade_format
from cogitate.rewards.language import language_share
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.parts.shaping import (
    cosine_length_reward,
    reasoning_steps_reward,
    repetition_penalty_of_text,
    soft_overlong_punishment,
)
from cogitate.tokenizer.thinking import ThinkingFormat

FORMAT_OF: Mapping[ThinkingFormat, FormatContract] = {"r1_zero": "think_answer", "r1": "think_text"}


def _accuracy(completion: SampledCompletion) -> float:
    return completion.verdict.score


def _format(completion: SampledCompletion, *, form: ThinkingFormat) -> float:
    return grade_format(completion.text, FORMAT_OF[form], prefilled=completion.prefilled).score


def _language(completion: SampledCompletion, *, without_words: float = 0.0) -> float:
    """The share of words; `without_words` for a thinking that has none: a formula belongs to every language."""
    thinking = completion.thinking or ""
    share = language_share(thinking, completion.problem.language)
    if share is not None:
        return share
    return without_words if thinking.strip() else 0.0  # no thinking: nothing to reward


def _cosine_length(completion: SampledCompletion, *, max_length: int, **limits: float) -> float:
    is_right = completion.verdict.value == "right"
    return cosine_length_reward(completion.tokens, is_right, max_length=max_length, **limits)


def _repetition_penalty(completion: SampledCompletion, *, ngram_size: int, max_penalty: float) -> float:
    return repetition_penalty_of_text(completion.text, ngram_size=ngram_size, max_penalty=max_penalty)


def _soft_overlong_punishment(completion: SampledCompletion, *, max_length: int, cache: int) -> float:
    return soft_overlong_punishment(completion.tokens, max_length=max_length, cache=cache)


def _reasoning_steps(completion: SampledCompletion, *, wanted: int = 3) -> float:
    return reasoning_steps_reward(completion.text, wanted=wanted)


PARTS: Mapping[str, Callable[..., float]] = {
    "accuracy": _accuracy,
    "format": _format,
    "language": _language,
    "cosine_length": _cosine_length,
    "repetition_penalty": _repetition_penalty,
    "soft_overlong_punishment": _soft_overlong_punishment,
    "reasoning_steps": _reasoning_steps,
}
