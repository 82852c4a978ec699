from __future__ import annotations

import pytest

from cogitate.rewards.answer import Contract
from cogitate.rewards.graders.choice import chosen_letter, grade_choice

RIGHT = [
    ("free", "B", "The answer is (B)."), ("bare", "B", "B"), ("bare", "B", "(B)"), ("bare", "B", "b"), ("bare", "B", "B)"),
    ("bare", "B", "B. Paris"), ("bare", "B", "**B**"), ("free", "B", "Option B is correct"),
    ("free", "B", "The correct option is B because A is wrong"), ("free", "B", "I choose B, not A."),
    ("free", "B", "A good question. The answer is B."), ("free", "C", "So C."),
    ("free", "C", "So B? Wait, B is cold, not hot. So C."), ("free", "B", "答案是B"), ("free", "B", "选B。"),
    ("r1", "B", "<think>A?</think><answer>B</answer>"), ("r1", "B", "<think>A?</think><answer>B) Paris</answer>"),
    ("r1", "B", r"\boxed{\text{B}}"), ("r1", "B", r"\boxed{\textbf{(B)}\ 5}"), ("bare", "(B) Paris", "Paris"),
    ("bare", "E", "E"), ("free", "D", "The answer is D: none of the above"),
    ("free", "B", "The answer is B. The other options A, C and D are wrong."),
    ("free", "B", "I think the answer is A... no, the answer is B"), ("free", "A", "A"), ("free", "A", "Answer: A"),
    ("free", "A", "The answer is A."), ("free", "B", "It can't be A, C or D, so it must be B."),
]  # fmt: skip
WRONG = [
    ("free", "A", "I choose B, not A."), ("bare", "B", "A and B"), ("bare", "B", "A/B"), ("bare", "B", "Either A or B"),
    ("bare", "B", "Not B"), ("free", "A", "A good question. The answer is B."), ("free", "A", "I think a dog is a puppy."),
    ("free", "B", "So B? Wait, B is cold, not hot. So C."), ("r1", "B", "<answer>A</answer><answer>B</answer>"),
    ("bare", "(B) Paris", "London"), ("free", "D", "All of A, B, C and D"), ("free", "A", "A, B, C, D"),
    ("free", "B", "Answer: B or C"),
]  # fmt: skip


@pytest.mark.parametrize(("contract", "gold", "prediction"), RIGHT)
def test_the_chosen_option_is_found(contract: Contract, gold: str, prediction: str) -> None:
    assert grade_choice(prediction, gold, contract=contract).value == "right"


@pytest.mark.parametrize(("contract", "gold", "prediction"), WRONG)
def test_another_option_a_hedge_or_none_is_wrong(contract: Contract, gold: str, prediction: str) -> None:
    assert grade_choice(prediction, gold, contract=contract).value == "wrong"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("D. it cannot be A or B", "D"),
        ("réponse est C non A", "C"),
        ("B。不是 A", "B"),
        ("\\text{(C)}", "C"),
        ("a", "A"),
        ("A or B or C", None),
        ("A, B, C, D", None),
        ("C is wrong", None),
        ("anything but C", None),
        ("C isn't right, D is", "D"),
        ("C是错的，选D", "D"),
        ("A is not it, so B", "B"),
        ("a dog", None),
        ("", None),
        ("AB", None),
    ],
)
def test_a_text_commits_to_one_letter_or_to_none(text: str, letter: str | None) -> None:
    assert chosen_letter(text) == letter


def test_a_reference_without_an_option_letter_gives_no_verdict() -> None:
    assert grade_choice("B", "Paris", contract="bare").value == "none"
    assert grade_choice("B", "", contract="bare").value == "none"


def test_the_text_of_the_option_counts_where_the_reference_has_it() -> None:
    assert grade_choice("<answer>Alina</answer>", "(D) Alina").value == "right"
    assert grade_choice("<answer>Celina</answer>", "(D) Alina").value == "wrong"


SCAVENGED = [
    ("A", "All but A"),
    ("A", "everything except A"),
    ("A", "The opposite of A"),
    ("C", "Vitamin C"),
    ("A", "3 A"),
    ("A", r"\boxed{I = 3 A}"),
    ("C", r"\boxed{25^\circ C}"),
    ("C", r"$37^\circ$C"),
    ("B", r"\boxed{q v B}"),
    ("B", r"\boxed{A + B}"),
    ("E", r"\boxed{\Delta E}"),
    ("E", "E = mc^2"),
    ("C", r"\boxed{x^2+C}"),
    ("A", "The answer is A? No, B"),
    ("A", "A?"),
    ("A", "Is it A?"),
    ("B", "Plan B worked."),
    ("A", "Team A won the game."),
    ("K", "It is 300 K."),
    ("C", "The grade was a C-"),
    ("A", "A dog"),
    ("A", "anything other than A"),
    ("D", "Vitamin D deficiency is the cause."),
    ("A", "It is not A, nor B"),
    ("B", "It is not A or B"),
    ("A", "apart from A"),
    ("C", "The answer is 5 C"),
    ("A", "Hepatitis A is the disease."),
    ("B", "A or B"),
    ("A", "A is wrong"),
    ("I", "I think so"),
    ("B", "B?"),
    ("C", r"\boxed{C_6H_{12}}"),
    ("H", r"\boxed{H_2O}"),
    ("A", r"\boxed{A \cap B}"),
    ("A", "A but not really... it is B"),
    ("A", r"\boxed{\text{A or B}}"),
    ("F", r"\boxed{F = ma}"),
    ("A", "both A and C"),
    ("A", "neither A"),
    ("P", r"\boxed{P(A)}"),
    ("N", "5 N"),
    ("D", "Not D"),
    ("D", "never D"),
    ("C", "C isn't right"),
]
COMMITTED = [
    ("A", "A is correct"),
    ("A", "A is correct here"),
    ("D", "The answer is for sure D, it can't be A or B"),
    ("B", "The answer is A? No, B"),
    ("C", "Definitely C."),
    ("C", "(C)"),
    ("C", "C)"),
    ("C", "C: 5"),
    ("C", r"\boxed{C}"),
    ("C", r"\boxed{\textbf{(C) } 12}"),
    ("B", "option B"),
    ("B", "B is the correct answer."),
    ("B", "B is right"),
    ("B", "I would pick B."),
    ("B", "The best choice is B since A is too small."),
    ("B", "the answer must be B"),
    ("B", "Answer: (B) 3 A"),
    ("D", r"The change is \boxed{\Delta E}. Answer: D"),
    ("A", "I'm sure the answer is A."),
    ("E", "E"),
    ("C", "C - vitamin C"),
    ("B", "The answer is option B."),
    ("C", "So, C"),
    ("B", "Therefore, the correct answer is **B**."),
    ("C", r"The final answer is $\boxed{C}$"),
    ("B", "'B'"),
    ("B", "The answer is clearly B, not A."),
    ("A", "It must be A, as B and C are out."),
    ("B", "选B"),
    ("B", "B是正确的"),
]


@pytest.mark.parametrize("contract", ["r1", "free", "bare"])
@pytest.mark.parametrize(("gold", "prediction"), SCAVENGED)
def test_a_capital_of_a_formula_a_quantity_or_a_phrase_is_no_choice(gold: str, prediction: str, contract: Contract) -> None:
    assert grade_choice(prediction, gold, contract=contract).value == "wrong"


@pytest.mark.parametrize("contract", ["r1", "free", "bare"])
@pytest.mark.parametrize(("gold", "prediction"), COMMITTED)
def test_a_phrase_commits_to_its_letter(gold: str, prediction: str, contract: Contract) -> None:
    assert grade_choice(prediction, gold, contract=contract).value == "right"
