"""A user's own parts of the reward: which values count."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.parts.own import evaluate_parts
from cogitate.types import Problem, Verdict

TEXT = "<think> 2 and 2 </think> <answer> 4 </answer>"
COMPLETION = SampledCompletion(
    TEXT, 7, "stop", Verdict("right", 1.0, "equal", "4"), Problem("1", "sums", "math", "2 + 2?", gold="4", fields={"level": 3})
)


def part(value: Any) -> dict[str, Any]:
    return evaluate_parts({"mine": lambda completion: value}, COMPLETION)


def test_a_function_sees_the_completion_as_it_was_sampled_with_its_verdict_and_its_problem() -> None:
    seen: list[object] = []

    def look(c: SampledCompletion) -> float:
        seen.extend([c.text, c.thinking, c.answer.strip(), c.tokens, c.finish_reason, c.verdict.value, c.verdict.score])
        seen.extend([c.verdict.extracted, c.problem.question, c.problem.gold, c.problem.fields["level"]])
        return -0.5

    assert evaluate_parts({"look": look, "other": lambda c: 2}, COMPLETION) == {"parts": {"look": -0.5, "other": 2.0}}
    assert seen == [TEXT, " 2 and 2 ", "4", 7, "stop", "right", 1.0, "4", "2 + 2?", "4", 3]


@pytest.mark.parametrize("value", [-3, 1e300, True, Fraction(1, 2), np.float32(0.5), np.int64(2)])
def test_any_finite_number_counts(value: Any) -> None:
    assert part(value) == {"parts": {"mine": float(value)}}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(float("nan"), "nan"), (float("-inf"), "-inf"), (None, "None"), ("1", "'1'"), (1j, "1j"), (10**400, "1000")],
)
def test_what_is_not_a_finite_number_is_a_fault_with_its_reason(value: Any, shown: str) -> None:
    fault = part(value)["fault"]
    assert fault.startswith(f"rewards.parts.mine returned {shown}")
    assert fault.endswith(", not a finite number")


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_a_function_raises_is_a_fault_with_its_reason() -> None:
    def fails(completion: SampledCompletion) -> float:
        raise KeyError("level")

    def leaves(completion: SampledCompletion) -> float:
        raise SystemExit(3)

    assert evaluate_parts({"mine": fails}, COMPLETION) == {"fault": "rewards.parts.mine raised KeyError: 'level'"}
    assert evaluate_parts({"mine": leaves}, COMPLETION) == {"fault": "rewards.parts.mine raised SystemExit: 3"}
    assert (
        part(Unshowable())["fault"] == "rewards.parts.mine returned a Unshowable that raised RuntimeError, not a finite number"
    )
