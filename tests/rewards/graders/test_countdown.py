from __future__ import annotations

from fractions import Fraction

import pytest

from cogitate.rewards.graders.countdown import NotAnExpression, evaluate, grade_countdown


def verdict(answer: str, numbers: list[int], target: int) -> str:
    return grade_countdown(f"<think>hm</think><answer>{answer}</answer>", numbers, target).value


@pytest.mark.parametrize("answer", ["79 - 60 + 17", "79-60+17", "(79 + 17) - 60", " ((17)) - (60-79) ", "17+79-60\n"])
def test_an_expression_of_all_numbers_that_makes_the_target_is_right(answer: str) -> None:
    assert verdict(answer, [79, 17, 60], 36) == "right"


@pytest.mark.parametrize(
    "answer",
    [
        "79 - 60 + 17 = 36", "79 − 60 + 17", "79 - 60 + 17 + 60 - 60", "79 - 60", "36", "79 - 60 + 17.0",
        "7_9 - 60 + 17",
        "0x4f - 60 + 17", "079 - 60 + 17", "-(-79) - 60 + 17", "７９ - 60 + 17", "79 - 60 + 17 if True else 0",
        "", "(79 - 60 + 17",
        "79 - 60 17", "79 ** 1 - 60 + 17", "79 // 1 - 60 + 17", "int('36')", "__import__('os')",
        "79 - 60 + 17; 1", "79, 60, 17",
        "+".join(["1"] * 5000), "(" * 5000 + "79-60+17" + ")" * 5000, "9" * 5000,
    ],
)  # fmt: skip
def test_anything_else_is_wrong(answer: str) -> None:
    assert verdict(answer, [79, 17, 60], 36) == "wrong"


def test_division_is_exact_and_by_zero_is_wrong() -> None:
    assert verdict("8 / (3 - 8 / 3)", [3, 3, 8, 8], 24) == "right"
    assert verdict("79 / (60 - 60)", [79, 60, 60], 36) == "wrong"
    assert evaluate("1/3 + 1/3") == (Fraction(2, 3), [1, 3, 1, 3])


def test_each_number_counts_as_often_as_it_is_given() -> None:
    assert verdict("6 + 6 + 6 + 6", [6, 6, 6, 6], 24) == "right"
    assert verdict("6 * 4", [6, 6, 6, 6], 24) == "wrong"
    assert verdict("6 + 6 + 6 + 6", [6, 6, 6], 24) == "wrong"


def test_the_expression_must_be_marked_unless_the_contract_needs_no_mark() -> None:
    assert grade_countdown("79 - 60 + 17", [79, 17, 60], 36).value == "wrong"
    assert grade_countdown(r"\boxed{79 - 60 + 17}", [79, 17, 60], 36).value == "right"
    assert grade_countdown("79 - 60 + 17", [79, 17, 60], 36, contract="bare").value == "right"
    assert grade_countdown("<answer>79-60+17</answer><answer>17</answer>", [79, 17, 60], 36).value == "wrong"


def test_the_point_that_ends_a_statement_is_no_part_of_the_expression() -> None:
    for said in ("4 + 6 = 10, not 24. The answer is 6 * 4.", "答案是6 * 4。", "Answer: 6 * 4"):
        assert grade_countdown(said, [4, 6], 24, contract="free").value == "right", said
    assert grade_countdown("<answer>6 * 4.</answer>", [4, 6], 24).value == "wrong"


def test_the_fault_of_an_expression_is_named() -> None:
    with pytest.raises(NotAnExpression, match="not closed"):
        evaluate("(1 + 2")
    assert "divides by zero" in grade_countdown("<answer>1/(2-2)</answer>", [1, 2, 2], 5).reason
