"""Every reader of a completion takes time in proportion to its length: twice the text costs at most about twice as much."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cogitate.rewards.math import library as math_library
from tests.rewards.judging import grade

REPEATED = (
    "<answer>", "</answer>", "<think>", "<think>a</think>", r"\boxed{", r"\boxed{1}", "(", "[1,2[", "`", "$$", r"\[", "**a ",
    "answer: ", "的", " ", "is 1 ", r"\text{", "not A ",
)  # fmt: skip
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("math", {"gold": "7"}), ("choice", {"gold": "B"}), ("exact", {"gold": "Paris"}),
    ("format", {"format_contract": "think_answer"}), ("language", {"language": "en"}),
)  # fmt: skip
SLACK = 0.2  # seconds of processor time that a measurement may be off


@pytest.mark.parametrize("repeated", REPEATED)
def test_twice_the_text_costs_at_most_about_twice_as_much(repeated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_library, "in_worker", True)
    costs = [_cost(repeated * (size // len(repeated))) for size in (6_000, 12_000)]
    assert costs[1] < 2.5 * costs[0] + SLACK


@pytest.mark.parametrize("repeated", ["(", " (", "[", ",(", "$1", " ", "]1;"])
def test_a_short_answer_of_brackets_is_read_at_once(repeated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_library, "in_worker", True)
    start = time.process_time()
    grade("math", f"<think>x</think><answer>{repeated * (2000 // len(repeated))}k</answer>", gold="7")
    assert time.process_time() - start < 0.5


def _cost(text: str) -> float:
    start = time.process_time()
    for kind, fields in KINDS:
        grade(kind, f"<think>x</think>{text}", **fields)
    return time.process_time() - start
