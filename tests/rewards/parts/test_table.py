"""The built-in parts against the settings they are given by, and what each reads of a completion."""

from __future__ import annotations

import inspect

import pytest

from cogitate.config.parts import BUILT_IN_PARTS, WEIGHTS_ELSEWHERE, RewardPartConfig
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.parts.shaping import cosine_length_reward
from cogitate.rewards.parts.table import PARTS
from cogitate.types import Problem, Verdict, VerdictValue

PROBLEM = Problem("1", "sums", "math", "2 + 2?", gold="4")


def completion(text: str, tokens: int = 50, verdict: VerdictValue = "right") -> SampledCompletion:
    return SampledCompletion(text, tokens, "stop", Verdict(verdict, float(verdict == "right"), ""), PROBLEM)


def test_every_part_with_settings_has_a_function_and_every_function_is_set_somewhere() -> None:
    assert set(PARTS) == set(BUILT_IN_PARTS) | (set(WEIGHTS_ELSEWHERE) - {"helpfulness", "safety"})


@pytest.mark.parametrize("name", BUILT_IN_PARTS)
def test_the_settings_of_a_part_are_the_arguments_of_its_function(name: str) -> None:
    row, arguments = BUILT_IN_PARTS[name], inspect.signature(PARTS[name]).parameters
    if name == "cosine_length":
        arguments = inspect.signature(cosine_length_reward).parameters
    keywords = {key: argument for key, argument in arguments.items() if argument.kind is argument.KEYWORD_ONLY}
    assert tuple(key for key, argument in keywords.items() if argument.default is argument.empty) == row.required
    assert tuple(key for key, argument in keywords.items() if argument.default is not argument.empty) == row.optional
    assert {*row.required, *row.optional} <= RewardPartConfig.model_fields.keys()


def test_lengths_are_in_tokens_and_the_verdict_decides_which_is_better() -> None:
    assert PARTS["cosine_length"](completion("x"), max_length=100) == pytest.approx(0.75)
    assert PARTS["cosine_length"](completion("x", verdict="wrong"), max_length=100) == pytest.approx(-0.75)
    assert PARTS["cosine_length"](completion("x"), max_length=100, max_value_correct=3.0) == pytest.approx(1.75)
    assert PARTS["soft_overlong_punishment"](completion("x"), max_length=60, cache=20) == pytest.approx(-0.5)


def test_repetition_and_steps_are_read_in_the_whole_text() -> None:
    assert PARTS["repetition_penalty"](completion("go go go go"), ngram_size=1, max_penalty=-1.0) == pytest.approx(-0.75)
    assert PARTS["reasoning_steps"](completion("<think>Step 1: a</think>\n- b"), wanted=4) == 0.5
    assert PARTS["reasoning_steps"](completion("Step 1: a")) == pytest.approx(1 / 3)
