"""Statements on texts written by hand: what is stated is found and judged, and what only looks like a statement is not."""

from __future__ import annotations

import pytest

from cogitate.evals.steps.statements import find_statements


def judged(text: str, *wanted: int) -> list[tuple[str, str, bool]]:
    """(kind, text, right) of each statement."""
    found = find_statements(text, frozenset(wanted) if wanted else None)
    return [(each.kind, text[each.start : each.end].strip(" ,.，。"), each.right) for each in found]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("Try 4 + 10 = 14, 14 + 1 = 15.", [("4 + 10 = 14", True), ("14 + 1 = 15", True)]),
        ("12+6 = 17", [("12+6 = 17", False)]),
        ("先算12 + 7 = 18。等等，12 + 7 = 19。", [("12 + 7 = 18", False), ("12 + 7 = 19", True)]),
        ("(4 + 10) * 2 = 28", [("(4 + 10) * 2 = 28", True)]),
        ("7 x 8 is 56 and 3 × 5 makes 16.", [("7 x 8 is 56", True), ("3 × 5 makes 16", False)]),
        ("9 ÷ 2 = 4.5", [("9 ÷ 2 = 4.5", True)]),
        ("1,200 + 34 = 1,234", [("1,200 + 34 = 1,234", True)]),
        ("3 - 5 = -2", [("3 - 5 = -2", True)]),
        ("14 = 4 + 10 = 13", [("14 = 4 + 10", True), ("= 4 + 10 = 13", False)]),
        ("f(3) = 3 * 2 = 6", [("= 3 * 2 = 6", True)]),
        ("4加6，4 + 6等于10", [("4 + 6等于10", True)]),
        ("3 + 4 = 8 apples", [("3 + 4 = 8", False)]),
    ],
)
def test_equations_are_found_and_judged(text: str, statements: list[tuple[str, bool]]) -> None:
    assert [(said, right) for _, said, right in judged(text)] == statements


@pytest.mark.parametrize(
    "text",
    [
        "x * x + 14 = 158",
        "6 * x + 93 = 8 * x + 17. What is x?",
        "x = 5, so f(2) = 10",
        "Is 4 + 10 = 15?",
        "4 + 10 = 15？",
        "If 4 + 10 = 15 then it would do",
        "We need 4 + 10 = 15",
        "not 4 + 10 = 15",
        "4 + 10 is not 15",
        "4 + 10不等于15",
        "如果4 + 10 = 15",
        "Use 4 + 10 and 3",
        "y + 4 + 10 = 15",
        "2 ^ 3 + 1 = 10",
        "4 + 10 = 2 * k",
        "4 + 10 = 15x",
        "4 + 10 <= 15 and 4 + 10 >= 20 and 4 + 1 != 6",
        "the years 1990 - 2000",
        "one less than 5 is 5 - 1",
        "8 x 1 1/2 = 12 rolls",
        "4 / 3 = 1 1/3",
        "60 students x 2/3 = 40 students",
        "75 + 10% of 150 = 75 + 20",
        "12\n- 8 = 5",
        "`4 + 10 = 15`",
        "```python\nx = 4 + 10\n4 + 10 == 15\n```",
        "4 / 0 = 3",
        "a1 + 10 = 15",
        "",
    ],
)
def test_what_only_looks_like_a_statement_is_none(text: str) -> None:
    assert judged(text, 15) == []


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("17 / 5 leaves 2", True),
        ("17 / 5 leaves 3", False),
        ("17除以5余2", True),
        ("17 / 5余1", False),
        ("17 mod 5 = 2", True),
        ("17 divided by 5 leaves 2.", True),
        ("17 / 5 = 3 remainder 2", True),
        ("17 / 5 = 4 remainder 2", False),
    ],
)
def test_remainders_are_judged(text: str, right: bool) -> None:
    assert judged(text) == [("remainder", text.strip("."), right)]


@pytest.mark.parametrize("text", ["x divided by 5 leaves 2", "x除以5余2", "if 17 / 5 leaves 2", "17 / 5 leaves 2?"])
def test_remainders_of_an_unknown_and_questions_are_none(text: str) -> None:
    assert judged(text) == []


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("14 + 1 = 15, not 6.", True),
        ("14 + 1 = 15, which is not 6.", True),
        ("14 + 1 = 15. No, not 6.", True),
        ("14 + 1 = 15, but not 6.", True),
        ("14 + 1 = 15，不是6。", True),
        ("14 + 1 = 15。不对，不是6。", True),
        ("14 + 1 = 15，不等于6。", True),
        ("5 + 1 = 6, not 6.", False),
        ("14 + 1 = 15, not 7.", False),  # 7 is not what is wanted
        ("14 + 1 = 15, no.", True),
        ("5 + 1 = 6, too small.", False),
        ("5 + 1 = 6, yes.", True),
        ("5 + 1 = 6. Yes, 6.", True),
        ("5 + 1 = 6, that is 6.", True),
        ("5 + 1 = 6，对。", True),
        ("5 + 1 = 6，就是6。", True),
        ("14 + 1 = 15, yes.", False),
        ("14 + 1 = 15, that is 6.", False),
        ("14 + 1 = 15, 6? no.", True),
        ("14 + 1 = 15. Is it 6? no.", True),
        ("5 + 1 = 6, wanted 6, yes.", True),
        ("14 + 1 = 15, for 6: yes.", False),
        ("5 + 1 = 6，6？不对。", False),
        ("14 + 1 = 15，目标6：不对。", True),
        ("5 + 1 = 6。是6吗？对。", True),
        ("14 + 1 = 15, 7? no.", False),  # 7 is not what is wanted
    ],
)
def test_results_are_compared_with_the_target(text: str, right: bool) -> None:
    equation, comparison = find_statements(text, frozenset([6]))
    assert (equation.kind, comparison.kind) == ("equation", "comparison")
    assert comparison.right == right
    assert comparison.rejects == any(word in text for word in ("not", "no.", "No", "不", "small"))


@pytest.mark.parametrize(
    "text",
    [
        "4 + 10 = 14, right. 14 + 6 = 20.",  # the second sum is no target
        "4 + 10 = 14, wait, 10 - 4 = 6.",
        "4 + 10 = 15, no, that is wrong, 4 + 10 = 14.",
        "4 + 10 = 15，不对，4 + 10 = 14。",
        "4 + 10 = 14. Nothing is 6.",
    ],
)
def test_doubt_of_a_result_is_no_comparison(text: str) -> None:
    assert "comparison" not in [each.kind for each in find_statements(text, frozenset([6]))]


def test_without_a_target_only_comparisons_that_name_it_are_judged() -> None:
    assert [each.kind for each in find_statements("5 + 1 = 6, yes. 5 + 2 = 7, not 6.")] == [
        "equation",
        "equation",
        "comparison",
    ]
