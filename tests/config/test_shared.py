"""Settings of evaluations: budgets of thinking that change nothing are refused, and ids of runs without one stay."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cogitate.config import EvaluateConfig


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"thinking_budget": 192}, "thinking_budget = 192: must be below max_new_tokens = 192"),
        ({"min_thinking": 300}, "min_thinking = 300: must be below"),
        ({"min_thinking": 30, "thinking_budget": 20}, "more than thinking_budget"),
        ({"closing_phrase": "Stop."}, "closing_phrase changes nothing without thinking_budget"),
        ({"waits": 2}, "waits changes nothing without min_thinking"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        EvaluateConfig.model_validate(settings)


def test_only_a_budget_that_is_set_is_part_of_an_identity() -> None:
    assert not {"thinking_budget", "closing_phrase", "min_thinking", "waits"} & EvaluateConfig().identity().keys()
    assert EvaluateConfig(thinking_budget=0).identity()["thinking_budget"] == 0
    assert not EvaluateConfig().budgets_thinking
    assert EvaluateConfig(thinking_budget=0).budgets_thinking
    assert EvaluateConfig(min_thinking=9, waits=3).budgets_thinking
