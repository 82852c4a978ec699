from __future__ import annotations

import pytest

from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.reward import total_reward
from cogitate.rewards.verdicts import no_verdict, right, wrong
from cogitate.tokenizer.thinking import ThinkingFormat
from cogitate.types import Problem, Verdict

PROBLEM = Problem("1", "arithmetic", "math", "?", gold="4", language="en")
WEIGHTS = {"accuracy": 1.0, "format": 1.0, "language": 0.5}
FORMED = "<think>one two 三 four</think><answer>4</answer>"


def sampled(verdict: Verdict, text: str, *, tokens: int = 9, prefilled: bool = False) -> SampledCompletion:
    return SampledCompletion(text, tokens, "stop", verdict, PROBLEM, prefilled=prefilled)


def reward_of(
    verdict: Verdict, text: str, weights: dict[str, float] | None = None, format: ThinkingFormat = "r1_zero"
) -> tuple[float | None, dict[str, float]]:
    return total_reward(sampled(verdict, text), weights=weights or WEIGHTS, format=format)


def test_the_reward_is_the_weighted_sum_of_its_parts() -> None:
    reward, parts = reward_of(right(""), FORMED)
    assert parts == {"accuracy": 1.0, "format": 1.0, "language": 0.75}
    assert reward == pytest.approx(1 + 1 + 0.375)


def test_format_is_paid_without_accuracy_and_accuracy_without_format() -> None:
    assert reward_of(wrong(""), FORMED, {"accuracy": 1, "format": 1}, "r1_zero")[0] == 1.0
    assert reward_of(right(""), "4", {"accuracy": 1, "format": 1}, "r1_zero")[0] == 1.0


def test_without_a_verdict_there_is_no_reward_but_the_other_parts_are_shown() -> None:
    reward, parts = reward_of(no_verdict(""), FORMED)
    assert reward is None
    assert parts == {"format": 1.0, "language": 0.75}


def test_a_prefilled_completion_can_earn_the_format_reward() -> None:
    completion = sampled(right(""), "one two</think><answer>4</answer>", prefilled=True)
    _, parts = total_reward(completion, weights=WEIGHTS, format="r1_zero")
    assert parts["format"] == 1.0


def test_each_format_has_its_own_form() -> None:
    boxed = "<think>a b</think>So \\boxed{4}"
    assert reward_of(right(""), boxed, WEIGHTS, "r1")[1]["format"] == 1.0
    assert reward_of(right(""), boxed)[1]["format"] == 0.0


def test_partial_credit_reaches_the_reward() -> None:
    assert reward_of(wrong("", score=0.5), "4", {"accuracy": 1}, "r1")[0] == 0.5


def test_a_thinking_without_words_earns_what_is_set_and_no_thinking_nothing() -> None:
    def language(text: str, **settings: float) -> float:
        given = {"language": settings}
        return total_reward(sampled(right(""), text), weights=WEIGHTS, format="r1_zero", settings=given)[1]["language"]

    formulas = "<think> 4 + 10 = 14 </think><answer>4</answer>"
    assert language(formulas) == 0.0
    assert language(formulas, without_words=1.0) == 1.0
    assert language(FORMED, without_words=1.0) == 0.75
    assert language("<think>  </think><answer>4</answer>", without_words=1.0) == 0.0
    assert language("<answer>4</answer>", without_words=1.0) == 0.0


def test_no_thinking_earns_no_language_reward() -> None:
    assert reward_of(right(""), "<answer>4</answer>")[1]["language"] == 0.0


def test_further_parts_are_summed_after_the_three_and_shown_before_their_weights() -> None:
    weights = {**WEIGHTS, "brevity": -2.0, "cosine_length": 0.5}
    verdict = Verdict("right", 1.0, "", parts={"brevity": 0.25})
    settings = {"cosine_length": {"max_length": 18}}
    reward, parts = total_reward(sampled(verdict, FORMED), weights=weights, format="r1_zero", settings=settings)
    assert list(parts.items()) == [
        ("accuracy", 1.0), ("format", 1.0), ("language", 0.75), ("brevity", 0.25), ("cosine_length", pytest.approx(0.75)),
    ]  # fmt: skip
    assert reward == pytest.approx(1 + 1 + 0.375 - 0.5 + 0.375)


def test_a_completion_without_a_verdict_has_no_further_parts() -> None:
    weights = {**WEIGHTS, "cosine_length": 0.5}
    settings = {"cosine_length": {"max_length": 18}}
    reward, parts = total_reward(sampled(no_verdict(""), FORMED), weights=weights, format="r1_zero", settings=settings)
    assert (reward, parts) == (None, {"format": 1.0, "language": 0.75})
