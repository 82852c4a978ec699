from __future__ import annotations

import pytest

from cogitate.rewards.format import grade_format


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
def test_each_contract_accepts_its_form_and_nothing_else(contract, completion, verdict) -> None:
    assert grade_format(completion, contract).value == verdict


def test_thinking_opened_by_the_prompt_keeps_the_form() -> None:
    assert grade_format("a</think><answer>b</answer>", "think_answer", prefilled=True).value == "right"
    assert grade_format("<think>a</think><answer>b</answer>", "think_answer", prefilled=True).value == "wrong"


def test_format_corpus_agrees_row_by_row(corpus) -> None:
    differing = [
        (row["id"], row["expected"])
        for row in corpus("verifiers/format_rewards")
        if row["expected"] is not None
        and (grade_format(row["completion"], row["contract"]).value == "right") != row["expected"]
    ]
    assert differing == []
