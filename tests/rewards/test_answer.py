from __future__ import annotations

import pytest

from cogitate.rewards.answer import Contract, answer_text, find_answer, find_boxes, find_statement, strip_markdown


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        (r"\boxed{42}", ["42"]),
        (r"\boxed{\frac{1}{2}} and \fbox{ 3 }", [r"\frac{1}{2}", "3"]),
        (r"\boxed{\boxed{42}}", ["42"]),
        (r"\\boxed{42}", ["42"]),
        (r"\boxed 7", ["7"]),
        (r"\boxed{\{1, 2\}}", [r"\{1, 2\}"]),
        (r"\boxed{42", []),
        (r"\boxed{}", [""]),
        ("no box", []),
        (r"\boxedfoo{1}", []),
    ],
)
def test_boxes_are_found_in_order_with_balanced_braces(text: str, boxes: list[str]) -> None:
    assert find_boxes(text) == boxes


def test_escaped_braces_do_not_close() -> None:
    assert find_boxes(r"\boxed{a\}b}") == [r"a\}b"]


@pytest.mark.parametrize(
    "completion",
    [
        r"So \boxed{42}. A sign was lost: \boxed{17",
        r"\boxed{42} and once more \boxed{",
        r"\boxed{42} so the answer is \boxed",
        r"\boxed{42} and \fbox{\frac{1}{2}",
        r"\boxed{\text{so } \boxed{42}",
        r"<answer>\boxed{42}</answer> no, \boxed{17",
        "<answer>42</answer> wait, that is wrong. <answer>17",
        "<answer>42</answer><answer>",
        r"<answer>\boxed{42}",
        "The answer is 42. <answer>",
    ],
)
@pytest.mark.parametrize("contract", ["r1", "free", "bare"])
def test_a_last_mark_that_is_never_closed_leaves_no_answer(completion: str, contract: Contract) -> None:
    answer = find_answer(f"<think>w</think> {completion}", contract)
    assert answer.text == ""
    assert "never closed" in answer.problem


@pytest.mark.parametrize(
    "completion",
    [r"\boxed{42} {", r"{ \boxed{42}", r"\boxed{42} in a \boxedsomething{", "<answer>42</answer> `<answer>`", r"\boxed{4\{2}"],
)
def test_only_marks_have_to_be_closed(completion: str) -> None:
    assert find_answer(f"<think>w</think> {completion}", "r1").problem == ""


def test_a_program_in_an_answer_that_is_never_closed_is_none() -> None:
    assert answer_text("<think>w</think><answer>def f(): ...</answer> no: <answer>def f(): return 1", "r1") == ""


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("2+40=42\n#### 42", "42"),
        ("A: 0.75", "0.75"),
        ("Answer: 41 was a guess.\nAnswer: 42", "42"),
        ("The answer is 42. I hope it is correct.", "42. I hope it is correct."),
        ("**Final Answer:** **3/4**", "3/4"),
        ("The final answer is **42**.", "42."),
        ("Final answer: **42**", "42"),
        ("so **66** it is", "66"),
        ("答案：B", "B"),
        ("réponse est C", "C"),
        ("nothing is announced", None),
        ("The answer is:\n\n42", "42"),
    ],
)
def test_the_last_announcement_counts(text: str, statement: str | None) -> None:
    assert find_statement(text) == statement


def test_marks_of_emphasis_go_and_powers_stay() -> None:
    assert strip_markdown("**3/4** of `it`") == "3/4 of `it`"
    assert strip_markdown("2**3**2") == "2**3**2"
    assert strip_markdown("`42`") == "42"


@pytest.mark.parametrize(
    ("prediction", "text", "source"),
    [
        ("<think>a</think> <answer>42</answer>", "42", "answer tag"),
        ("<think>a</think> <answer>so \\boxed{42}</answer>", "42", "answer tag"),
        ("<think>\\boxed{1}</think> \\boxed{42}", "42", "box"),
        ("<think>a</think> The answer is 42.", "42.", "statement"),
        ("<think>a</think> Paris", "Paris", "text"),
        ("<answer>42</answer>", "42", "answer tag"),
        ("a</think>42", "42", "text"),
        ("<think>a</think>42<|im_end|>", "42", "text"),
    ],
)
def test_the_answer_of_an_r1_completion_stands_after_the_thinking(prediction: str, text: str, source: str) -> None:
    answer = find_answer(prediction, "r1")
    assert (answer.text, answer.source, answer.problem) == (text, source, "")


@pytest.mark.parametrize(
    ("prediction", "problem"),
    [
        ("<think>\\boxed{42}", "never closed"),
        ("<think>a</think>", "nothing stands"),
        ("<think>a</think><answer>42", "<answer> is never closed"),
        ("<think>a</think>\\boxed{42", "box is never closed"),
        ("<think>a</think><answer> </answer>", "empty"),
        ("", "nothing stands"),
    ],
)
def test_a_missing_answer_has_a_reason(prediction: str, problem: str) -> None:
    assert problem in find_answer(prediction, "r1").problem


def test_a_second_thinking_block_is_no_answer_either() -> None:
    assert find_answer("<think>a</think>b <think>\\boxed{1}</think> \\boxed{2}", "r1").alternatives == ()
    assert find_answer("<think>a</think>b <think>c", "r1").text == "b"


def test_further_marked_answers_are_alternatives() -> None:
    assert find_answer("<answer>1</answer><answer>2</answer>", "r1").alternatives == ("1",)
    assert find_answer("\\boxed{1} \\boxed{2}", "r1").alternatives == ("1",)
    assert find_answer("<answer>\\boxed{1}</answer> \\boxed{2}", "r1").alternatives == ("2",)


def test_answer_text_is_the_last_block_or_all_after_the_thinking() -> None:
    program = "```python\nprint('<answer>')\n```"
    assert answer_text(f"<think>a</think><answer>{program}</answer>", "r1") == program
    assert answer_text(f"<think>a</think>{program}", "r1") == program
    assert answer_text("<think>a", "r1") == ""
    assert answer_text("<think>a</think>b", "bare") == "<think>a</think>b"
