"""Every reader of a completion takes time in proportion to its length: twice the text costs at most about twice as much."""

from __future__ import annotations

from typing import Any

import pytest

from cogitate.rewards.math import library as math_library
from tests.processor_time import cheapest, grows_in_proportion
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

    def judge_all(size: int, go: int) -> None:
        for kind, fields in KINDS:
            grade(kind, f"<think>{go}</think>{repeated * (size // len(repeated))}", **fields)

    assert grows_in_proportion(judge_all, 6_000, SLACK)


@pytest.mark.parametrize("repeated", ["(", " (", "[", ",(", "$1", " ", "]1;"])
def test_a_short_answer_of_brackets_is_read_at_once(repeated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_library, "in_worker", True)
    answer = repeated * (2000 // len(repeated)) + "k"
    assert cheapest(lambda go: grade("math", f"<think>{go}</think><answer>{answer}</answer>", gold="7"), enough=0.5) < 0.5
