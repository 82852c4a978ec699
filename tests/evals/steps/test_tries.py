"""Tries on texts written by hand."""

from __future__ import annotations

from cogitate.evals.steps.statements import find_statements
from cogitate.evals.steps.tries import Try, tries_of_numbers, tries_of_steps, tries_of_values


def of_numbers(text: str, numbers: list[int], target: int) -> list[tuple[str, bool | None]]:
    found = tries_of_numbers(text, find_statements(text, frozenset([target])), numbers)
    return [(each.candidate, each.rejected) for each in found]


def test_a_try_of_countdown_uses_up_the_numbers() -> None:
    text = "Try 4 + 10 = 14, 14 + 1 = 15, not 6. Try 10 - 4 = 6, 6 * 1 = 6, yes."
    assert of_numbers(text, [4, 1, 10], 6) == [("4+10=14,14+1=15", True), ("10-4=6,6*1=6", False)]


def test_without_words_a_try_ends_with_the_last_number() -> None:
    text = "4 + 10 = 14, 14 + 1 = 15. 10 - 4 = 6, 6 * 1 = 6"
    assert of_numbers(text, [4, 1, 10], 6) == [("4+10=14,14+1=15", None), ("10-4=6,6*1=6", None)]


def test_two_pairs_may_be_joined() -> None:
    assert of_numbers("4 + 2 = 6, 5 * 3 = 15, 15 - 6 = 9, yes.", [2, 3, 4, 5], 9) == [("4+2=6,5*3=15,15-6=9", False)]


def test_a_mended_result_takes_the_place_of_the_wrong_one() -> None:
    assert of_numbers("4 + 10 = 15, wait, 4 + 10 = 14, 14 + 1 = 15, not 6.", [4, 1, 10], 6) == [("4+10=14,14+1=15", True)]


def test_equations_of_other_numbers_and_unfinished_chains_are_no_tries() -> None:
    assert of_numbers("3 + 9 = 12. 4 + 10 = 14.", [4, 1, 10], 6) == []


def test_a_value_of_x_is_tried_where_something_is_calculated_about_it() -> None:
    text = "x is between 1 and 12. Try 2: 2 / 5 leaves 2, not 3. What about 8: 8 / 5 leaves 3, yes. So x = 8."
    found = tries_of_values(text, find_statements(text))
    assert [(each.candidate, each.rejected) for each in found] == [("2", True), ("8", None)]  # a bare yes names no target
    chinese = "试试5：5 * 5 = 25，25 + 2 = 27，不是37。太小了。再试7：5 * 7 = 35，35 + 2 = 37，是37，对。"
    found = tries_of_values(chinese, find_statements(chinese))
    assert [(each.candidate, each.rejected) for each in found] == [("5", True), ("7", False)]


def test_an_order_of_steps_is_tried_and_its_last_comparison_counts() -> None:
    text = "Try + 3, * 2: 1 + 3 = 4, 4 * 2 = 8, yes. 4 + 3 = 7, 7 * 2 = 14, not 11. Then * 2, + 3: 1 * 2 = 2, 2 + 3 = 5, not 8."
    found = tries_of_steps(text, find_statements(text, frozenset([8, 11])))
    assert [(each.candidate, each.rejected) for each in found] == [("+3,*2", True), ("*2,+3", True)]
    assert found[0] == Try(text.index("+ 3"), text.index("* 2, + 3"), "+3,*2", True)
    assert tries_of_steps("1 + 3, 4 * 2: no steps", []) == []
