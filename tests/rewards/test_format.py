from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cogitate.rewards.format import FormatContract, grade_format


@pytest.mark.parametrize(
    ("contract", "completion", "verdict"),
    [
        ("think_answer", "<think>a</think>\n<answer>b</answer>", "right"),
        ("think_answer", "  <think>a\n\nb</think><answer> b </answer>\n", "right"),
        ("think_answer", "<think>a</think> so <answer>b</answer>", "wrong"),
        ("think_answer", "<think>a</think><answer>b</answer> bye", "wrong"),
        ("think_answer", "<think>a</think><answer>b</answer><answer>c</answer>", "wrong"),
        ("think_answer", "<think>a</think><answer>b</answer></answer>", "wrong"),
        ("think_answer", "<think>a <answer>b</answer></think>", "wrong"),
        ("think_answer", "<think>a</think><answer>b", "wrong"),
        ("think_answer", "<think> </think><answer>b</answer>", "wrong"),
        ("think_answer", "<think>a</think><answer>\n</answer>", "wrong"),
        ("think_answer", "<think>a</think ><answer>b</answer>", "wrong"),
        ("think_answer", "<think>a</think>\n<answer>b</answer><|im_end|>", "right"),
        ("think_answer", "<think>a</think><answer>```python\ns = '</answer>'\n```</answer>", "right"),
        ("think_text", "<think>a</think>b", "right"),
        ("think_text", "<think>a</think>", "wrong"),
        ("think_text", "a</think>b", "wrong"),
        ("think_text", "<think>a</think>b<think>c</think>d", "wrong"),
        ("think_text", "<think>a</think>in code `<think>` is text", "right"),
        ("think_present", "<think>a</think>", "right"),
        ("think_present", "<think>\n</think>b", "wrong"),
        ("think_present", "<think>a", "wrong"),
        ("think_answer_code_python", "<think>a</think><answer>```python\nf = 1\n```</answer>", "right"),
        ("think_answer_code_python", "<think>a</think><answer>```\nf = 1\n```</answer>", "wrong"),
        ("think_answer_code_python", "<think>a</think><answer>f = 1</answer>", "wrong"),
    ],
)
def test_each_contract_accepts_its_form_and_nothing_else(contract: FormatContract, completion: str, verdict: str) -> None:
    assert grade_format(completion, contract).value == verdict


def test_thinking_opened_by_the_prompt_keeps_the_form() -> None:
    assert grade_format("a</think><answer>b</answer>", "think_answer", prefilled=True).value == "right"
    assert grade_format("<think>a</think><answer>b</answer>", "think_answer", prefilled=True).value == "wrong"


def test_format_corpus_agrees_row_by_row(corpus: Callable[[str], list[dict[str, Any]]]) -> None:
    differing = [
        (row["id"], row["expected"])
        for row in corpus("verifiers/format_rewards")
        if row["expected"] is not None
        and (grade_format(row["completion"], row["contract"]).value == "right") != row["expected"]
    ]
    assert differing == []


INVISIBLE = (
    "\u200b", "\u200c\u200d", "\u2060", "\ufeff", "\u00ad", "\u2800", "\u3164", "\u115f\u1160", "\uffa0", "\u00a0", "\u3000",
    "\x00", "\x08", "\x1b", "\x1b[2K", "\x1b]0;t\x07", "\u034f", "\ufe0f", "\u0301", "\U000e0020", "\u202e", "\ue000", "\u2065",
)  # fmt: skip
VISIBLE = ("x", "5", "=", "的", "é", "क", "\u200bx", "😀", "∴", "\x1b[2Kdone", "e\u0301")


@pytest.mark.parametrize("text", INVISIBLE)
def test_characters_that_nobody_can_see_are_no_content(text: str) -> None:
    assert grade_format(f"<think>{text}</think><answer>b</answer>", "think_answer").value == "wrong"
    assert grade_format(f"<think>a</think><answer>{text}</answer>", "think_answer").value == "wrong"
    assert grade_format(f"<think>a</think>{text}", "think_text").value == "wrong"
    assert grade_format(f"<think>{text}</think>b", "think_text").value == "wrong"
    assert grade_format(f"<think>{text}</think>", "think_present").value == "wrong"
    code = f"<think>a</think><answer>```python\n{text}\n```</answer>"
    assert grade_format(code, "think_answer_code_python").value == "wrong"


@pytest.mark.parametrize("text", VISIBLE)
def test_what_can_be_seen_is_content(text: str) -> None:
    assert grade_format(f"<think>{text}</think><answer>{text}</answer>", "think_answer").value == "right"
    assert grade_format(f"<think>{text}</think>{text}", "think_text").value == "right"
    code = f"<think>a</think><answer>```python\n{text}\n```</answer>"
    assert grade_format(code, "think_answer_code_python").value == "right"
