"""The policy table of docs/graders.md, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogitate.rewards.answer import Contract
from cogitate.rewards.format import FormatContract
from tests.rewards.judging import grade

DOCUMENT = Path(__file__).parents[2] / "docs" / "graders.md"

BOXED = [
    ("42", "6 \\times 7", "right"),
    ("2", "\\sqrt{4}", "right"),
    ("\\frac{1}{2}", "\\frac{2}{4}", "right"),
    ("5050", "\\sum_{k=1}^{100} k", "wrong"),
    ("\\frac{1}{3}", "\\int_0^1 x^2 \\, dx", "wrong"),
    ("2", "\\sqrt{4} = 2", "right"),
    ("7", "7 = 7", "right"),
    ("11", "x = 5+5+1 = 7 = 11", "wrong"),
    ("x=3", "x=x", "wrong"),
    ("y=2x+1", "0=0", "wrong"),
    ("\\frac{1}{3}", "\\frac{1}{3} \\approx 1.3", "right"),
    ("\\frac{1}{3}", "0.333", "wrong"),
    ("0.333", "\\frac{1}{3}", "wrong"),
    ("\\sqrt{17}", "4.12", "wrong"),
    ("\\sqrt{17}", "4.123105625617661", "right"),
    ("42", "42.0000001", "wrong"),
    ("3.14", "3.1400001", "wrong"),
    ("42\\text{ cm}", "42", "right"),
    ("336^\\circ", "336", "right"),
    ("10", "10\\%", "right"),
    ("10\\%", "10", "right"),
    ("42\\text{ cm}", "42\\text{ m}", "wrong"),
    ("5\\text{ cm}", "50\\text{ mm}", "right"),
    ("50\\%", "\\frac{1}{2}", "right"),
    ("\\frac{\\pi}{2}", "90^\\circ", "right"),
    ("204_5", "204", "right"),
    ("204_5", "54", "wrong"),
    ("14", "14_{16}", "wrong"),
    ("3600000", "3.6\\text{ million}", "right"),
    ("3", "3\\text{ million}", "wrong"),
    ("5 m", "5", "right"),
    ("5m", "5", "wrong"),
    ("\\$5", "€5", "wrong"),
    ("\\$5", "5\\text{ cents}", "wrong"),
    ("\\$5", "5", "right"),
    ("2024-05-06", "2013", "wrong"),
    ("1.22", "1,22", "right"),
    ("1000.99", "1000,99", "right"),
    ("1234.5", "1.234,5", "right"),
    ("3,7", "3.7", "wrong"),
    ("1234567", "1,234,567", "right"),
    ("1234567", "1,234,56", "wrong"),
    ("\\{1,2,3\\}", "3,1,2", "right"),
    ("(1,2,3)", "(3,1,2)", "wrong"),
    ("90", "[90]", "right"),
    ("(1,2)", "1,2", "right"),
    ("(1,2)", "2,1", "wrong"),
    ("(-6,10)", "(-6, 10)", "right"),
    ("(0,12.5)", "0 < x < 12.5", "right"),
    ("2x+4y-3=0", "y = -\\frac{x}{2} + \\frac{3}{4}", "right"),
    ("x=3", "3", "right"),
    ("x=3", "y=3", "wrong"),
    ("f(x)=2x", "y=2x", "right"),
    ("f(x)=x^2", "f(t)=t^2", "wrong"),
    ("\\sqrt{1/n}", "\\frac{1}{\\sqrt{n}}", "right"),
    ("O(\\log n)", "\\Theta(\\log n)", "wrong"),
    ("f(x)=0", "\\forall x>0, f(x)=0", "wrong"),
    ("42", "\\text{not } 42", "wrong"),
    ("42", "\\text{about } 42", "wrong"),
    ("42", "42 \\text{ or more}", "wrong"),
    ("42", "\\text{forty-two}", "wrong"),
    ("4", "IV", "wrong"),
    ("42", "４２", "right"),
    ("42", "4\u200b2", "right"),
    ("42", "\u202e24", "wrong"),
    ("24", "\u202e24", "wrong"),
    ("42", "42\x00", "wrong"),
    ("x+1", "х+1", "wrong"),  # a Cyrillic letter
    ("42", "\\text{NaN}", "wrong"),
    ("\\text{NaN}", "\\text{NaN}", "wrong"),
    ("1", "\\frac{0}{0}", "wrong"),
    ("42", "\\frac{1}{0}", "wrong"),
]


@pytest.mark.parametrize(("gold", "answer", "verdict"), BOXED)
def test_a_boxed_answer_gets_the_verdict_of_the_table(gold: str, answer: str, verdict: str) -> None:
    assert grade("math", f"<think>x</think>\\boxed{{{answer}}}", gold=gold).value == verdict


@pytest.mark.parametrize(
    ("contract", "gold", "prediction", "verdict"),
    [
        ("r1", "42", "\\boxed{7} or \\boxed{42}", "wrong"),
        ("r1", "42", "<answer>7</answer> <answer>42</answer>", "wrong"),
        ("r1", "42", "<answer>7</answer> \\boxed{42}", "wrong"),
        ("r1", "42", "\\boxed{42} = \\boxed{42.0}", "right"),
        ("r1", "\\{1,2\\}", "\\boxed{1} and \\boxed{2}", "right"),
        ("r1", "42", "```\n\\boxed{42}\n```", "right"),
        ("r1", "42", "\\\\boxed{42}", "right"),
        ("r1", "42", "\\boxed{42", "wrong"),
        ("r1", "42", "<think>so <answer>42</answer>", "wrong"),
        ("free", "3", "#### 18\n\nQuestion: ...\n#### 3", "right"),
        ("free", "18", "#### 18\n\nQuestion: ...\n#### 3", "wrong"),
    ],
)
def test_a_completion_gets_the_verdict_of_the_table(contract: Contract, gold: str, prediction: str, verdict: str) -> None:
    assert grade("math", prediction, gold=gold, contract=contract).value == verdict


@pytest.mark.parametrize(
    "answer",
    [
        "79-60+17 = 36",
        "79×1-60+17",
        "79÷1-60+17",
        "79−60+17",
        "79-60+17.0",
        "079-60+17",
        "7_9-60+17",
        "-(-79)-60+17",
        "７９-60+17",
    ],
)
def test_countdown_takes_one_plain_expression(answer: str) -> None:
    assert grade("countdown", f"<answer>{answer}</answer>", numbers=[79, 60, 17], target=36).value == "wrong"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("Ann is not a knave", "right"),
        ("Ann is a knight. Zed is a knight", "wrong"),
        ("Ann, a knight", "right"),
        ("Ann is a knight?", "wrong"),
    ],
)
def test_knights_and_knaves_follow_the_table(answer: str, verdict: str) -> None:
    assert grade("logic", f"<answer>{answer}</answer>", gold={"Ann": True}).value == verdict


@pytest.mark.parametrize(
    ("contract", "completion", "verdict"),
    [
        ("think_answer", "<think>\n</think><answer>b</answer>", "wrong"),
        ("think_answer", "<think>a</think><answer></answer>", "wrong"),
        ("think_present", "< think >a</ think >", "wrong"),
        ("think_present", "<think>a</think>b<think>c</think>", "wrong"),
        ("think_present", "<think>a <think>b</think> c</think>", "wrong"),
        ("think_answer", "<think>a</think><answer>b</answer><|im_end|>", "right"),
        ("think_text", "<think>a</think>use `</think>`", "right"),
        ("think_text", "a</think>b", "wrong"),
    ],
)
def test_format_follows_the_table(contract: FormatContract, completion: str, verdict: str) -> None:
    assert grade("format", completion, format_contract=contract).value == verdict


def test_names_in_a_chinese_sentence_are_left_out() -> None:
    assert grade("language", "Janet 有 3 个 iPhone，x 是答案。", language="zh").score == 1.0


def test_the_document_has_the_table() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) > 50
