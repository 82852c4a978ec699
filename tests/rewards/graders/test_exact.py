from __future__ import annotations

import pytest

from cogitate.rewards.answer import Contract
from cogitate.rewards.graders.exact import foldings, grade_exact

RIGHT = [
    ("free", "Paris", "The answer is Paris."), ("free", "Paris", "I think it is Paris."),
    ("r1", "Paris", "<answer>paris</answer>"), ("free", "Tom", "Tom > Ann > Ben. The answer is Tom."),
    ("bare", "Tom", "Tom"), ("free", "小明", "答案是小明。"), ("bare", "小明", "小明"), ("bare", "3.14", "3.14."),
    ("bare", "1,000", "1000"), ("bare", "the who", "who"), ("bare", "A", "a"), ("free", "No", "The answer is No"),
    ("free", "42", "#### 42"),
]  # fmt: skip
WRONG = [
    ("r1", "Paris", "<answer>Paris or London</answer>"), ("bare", "Tom", "Ann"), ("bare", "Tom", "not Tom"),
    ("bare", "3.14", "314"), ("bare", "-3", "3"), ("bare", "a b", "ab"), ("bare", "A", ""),
]  # fmt: skip


@pytest.mark.parametrize(("contract", "gold", "prediction"), RIGHT)
def test_case_articles_and_punctuation_are_folded(contract: Contract, gold: str, prediction: str) -> None:
    assert grade_exact(prediction, gold, contract=contract).value == "right"


@pytest.mark.parametrize(("contract", "gold", "prediction"), WRONG)
def test_other_texts_are_wrong(contract: Contract, gold: str, prediction: str) -> None:
    assert grade_exact(prediction, gold, contract=contract).value == "wrong"


@pytest.mark.parametrize(
    ("one", "other"),
    [("3.14", "314"), ("-3", "3"), ("1:30", "130"), ("1/2", "12"), ("C++", "C"), ("1,5", "15"), ("A,B", "B"), (".5", "5")],
)
def test_marks_that_carry_meaning_are_kept(one: str, other: str) -> None:
    assert not foldings(one) & foldings(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Hague", "hague!"),
        ("1,000", "1000"),
        ("don't", "dont"),
        ("twenty-one", "twenty one"),
        ("Ｐａｒｉｓ", "paris"),
        ("U.S.", "US"),
    ],
)
def test_marks_that_carry_none_are_not(one: str, other: str) -> None:
    assert foldings(one) & foldings(other)


def test_an_empty_reference_gives_no_verdict() -> None:
    assert grade_exact("anything", "  ", contract="bare").value == "none"
    assert grade_exact("", "", contract="bare").value == "none"


@pytest.mark.parametrize(
    ("prediction", "verdict"),
    [("\\boxed{] ) >}", "right"), ("] )>", "right"), ("] > )", "wrong"), ("\\boxed{]} or \\boxed{)}", "wrong"), ("", "wrong")],
)
def test_an_answer_of_marks_is_compared_literally_where_that_is_asked_for(prediction: str, verdict: str) -> None:
    assert grade_exact(prediction, "] ) >", contract="bare", literal=True).value == verdict
    assert grade_exact(prediction, "] ) >", contract="bare").value == "none"  # nothing of it is left when folded
    assert grade_exact(prediction, " ", contract="bare", literal=True).value == "none"
