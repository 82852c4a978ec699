from __future__ import annotations

import pytest

from cogitate.rewards.reward import RewardPart, total_reward
from cogitate.rewards.verdicts import no_verdict, right, wrong
from cogitate.types import Problem

PROBLEM = Problem("1", "arithmetic", "math", "?", gold="4", language="en")
WEIGHTS: dict[RewardPart, float] = {"accuracy": 1.0, "format": 1.0, "language": 0.5}
FORMED = "<think>one two 三 four</think><answer>4</answer>"


def test_the_reward_is_the_weighted_sum_of_its_parts() -> None:
    reward, parts = total_reward(right(""), FORMED, PROBLEM, weights=WEIGHTS, format="r1_zero")
    assert parts == {"accuracy": 1.0, "format": 1.0, "language": 0.75}
    assert reward == pytest.approx(1 + 1 + 0.375)


def test_format_is_paid_without_accuracy_and_accuracy_without_format() -> None:
    assert total_reward(wrong(""), FORMED, PROBLEM, weights={"accuracy": 1, "format": 1}, format="r1_zero")[0] == 1.0
    assert total_reward(right(""), "4", PROBLEM, weights={"accuracy": 1, "format": 1}, format="r1_zero")[0] == 1.0


def test_without_a_verdict_there_is_no_reward_but_the_other_parts_are_shown() -> None:
    reward, parts = total_reward(no_verdict(""), FORMED, PROBLEM, weights=WEIGHTS, format="r1_zero")
    assert reward is None
    assert parts == {"format": 1.0, "language": 0.75}


def test_a_prefilled_completion_can_earn_the_format_reward() -> None:
    _, parts = total_reward(
        right(""), "one two</think><answer>4</answer>", PROBLEM, weights=WEIGHTS, format="r1_zero", prefilled=True
    )
    assert parts["format"] == 1.0


def test_each_format_has_its_own_form() -> None:
    boxed = "<think>a b</think>So \\boxed{4}"
    assert total_reward(right(""), boxed, PROBLEM, weights=WEIGHTS, format="r1")[1]["format"] == 1.0
    assert total_reward(right(""), boxed, PROBLEM, weights=WEIGHTS, format="r1_zero")[1]["format"] == 0.0


def test_partial_credit_reaches_the_reward() -> None:
    assert total_reward(wrong("", score=0.5), "4", PROBLEM, weights={"accuracy": 1}, format="r1")[0] == 0.5


def test_no_thinking_earns_no_language_reward() -> None:
    assert total_reward(right(""), "<answer>4</answer>", PROBLEM, weights=WEIGHTS, format="r1_zero")[1]["language"] == 0.0
