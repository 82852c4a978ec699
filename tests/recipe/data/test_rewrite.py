"""The rewriting pass: each form an answer comes in, what becomes of it, and when it is dropped."""

import pytest

from cogitate.evals.text_metrics import is_mixed
from cogitate.recipe.data.rewrite import rewrite
from cogitate.rewards.format import grade_format
from cogitate.types import Problem
from tests.rewards.judging import grade

SUM = Problem("1", "arithmetic", "math", "What is 4 + 5 - 2?", "7")
CHINESE = Problem("2", "arithmetic", "math", "4 + 5 - 2等于多少？", "7", "zh")
ORDER = Problem("3", "logic", "exact", "Who is the tallest?", "Tom")
CHOICE = Problem("4", "choice", "choice", "Capital of Italy? Rome (A), Oslo (B).", "A")
CODE = Problem("5", "code", "code", "Write f(xs) that reverses xs.")
PROGRAM = "```python\ndef f(xs):\n    return xs[::-1]\n```"


@pytest.mark.parametrize(
    "closing",
    ["The answer is 7.", "Answer: 7", "#### 7", "So the answer is \\boxed{7}.", "The result is **7**.", "The answer is 7"],
)
def test_the_announcement_of_an_untagged_answer_becomes_the_summary(closing: str) -> None:
    text, rule = rewrite(f"First 4 + 5 = 9. Then 9 - 2 = 7. {closing}", SUM)
    assert (text, rule) == ("<think> First 4 + 5 = 9. Then 9 - 2 = 7. </think>\nThe answer is \\boxed{7}.", "")


@pytest.mark.parametrize("closing", ["答案是7。", "答案：7", "所以答案是\\boxed{7}。"])
def test_a_chinese_answer_gets_a_chinese_summary(closing: str) -> None:
    text, _ = rewrite(f"先算4 + 5 = 9。再算9 - 2 = 7。{closing}", CHINESE)
    assert text == "<think> 先算4 + 5 = 9。再算9 - 2 = 7。 </think>\n答案是\\boxed{7}。"


def test_r1_zeros_tags_become_thinking_and_summary() -> None:
    text, _ = rewrite("<think> 4 + 5 = 9. 9 - 2 = 7. </think> <answer> 7 </answer>", SUM)
    assert text == "<think> 4 + 5 = 9. 9 - 2 = 7. </think>\nThe answer is \\boxed{7}."
    text, _ = rewrite("<think> Order: Tom, Ann. </think> <answer> Tom </answer>", ORDER)
    assert text == "<think> Order: Tom, Ann. </think>\nThe answer is \\boxed{Tom}."


def test_what_has_the_form_already_keeps_its_thinking() -> None:
    text, _ = rewrite("<think> Rome. </think>\nRome (A). The answer is \\boxed{A}.", CHOICE)
    assert text == "<think> Rome. </think>\nThe answer is \\boxed{A}."


@pytest.mark.parametrize("form", ["{plan}\n{program}", "<think> {plan} </think> <answer>\n{program}\n</answer>"])
def test_a_program_stands_fenced_in_the_summary_and_its_plan_is_the_thinking(form: str) -> None:
    text, _ = rewrite(form.format(plan="Plan: 1. reverses it.", program=PROGRAM), CODE)
    assert text == f"<think> Plan: 1. reverses it. </think>\nThe program:\n{PROGRAM}"


@pytest.mark.parametrize(
    ("text", "problem", "rule"),
    [
        ("7", SUM, "no thinking"),
        ("4 + 5 - 2 = 7", SUM, "no thinking"),
        ("The answer is 7.", SUM, "no thinking"),
        (PROGRAM, CODE, "no thinking"),
        ("<think> </think> <answer> 7 </answer>", SUM, "no thinking"),
        ("I would reverse it.", CODE, "no program"),
        ("<think> 4 + 5 = 9", SUM, "tags not closed"),
        ("Well. <think> 9 </think> 7", SUM, "tags not closed"),
        ("<think> 9 </think>", SUM, "no answer"),
        ("", SUM, "no answer"),
        ("<think> a </think> b </think> c", SUM, "tags not closed"),
    ],
)
def test_what_cannot_be_rewritten_says_why(text: str, problem: Problem, rule: str) -> None:
    assert rewrite(text, problem) == (None, rule)


def test_every_rewritten_text_keeps_form_language_and_answer() -> None:
    for problem, text in (
        (SUM, "4 + 5 = 9. 9 - 2 = 7. The answer is 7."),
        (CHINESE, "<think> 4 + 5 = 9。 </think> <answer> 7 </answer>"),
        (ORDER, "Order: Tom, Ann. The answer is Tom."),
        (CHOICE, "The capital of Italy is Rome. Rome (A). The answer is A."),
    ):
        new, _ = rewrite(text, problem)
        assert new is not None
        assert grade_format(new, "think_text").value == "right"
        assert grade(problem.kind, new, contract="r1", gold=problem.gold).value == "right"
        assert not is_mixed(new.partition("</think>")[2], problem.language)


def test_an_answer_that_is_a_text_is_not_put_in_a_box() -> None:
    essay = Problem("6", "mine", "custom", "Vowels, please?")
    assert rewrite("<think> a e </think> a e i o u", essay)[0] == "<think> a e </think>\na e i o u"
    assert rewrite("a e i o u", essay) == (None, "no thinking")
