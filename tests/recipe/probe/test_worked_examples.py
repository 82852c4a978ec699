"""Worked examples from right completions and from gold answers."""

from typing import Any

from cogitate.recipe.probe.worked_examples import SEVERAL, Draft, choose_examples, from_completion, from_gold
from cogitate.types import Problem

PENS = "Ben has 15 pens and buys 20 more. How many pens does he have?"


def problem(question: str, gold: Any, number: int = 0) -> Problem:
    return Problem(f"p{number}", "rows", "math", question, gold)


def thinking(draft: Draft | None) -> str:
    assert draft is not None
    return draft.example.thinking


def test_the_true_equations_that_lead_to_the_answer_are_the_thinking() -> None:
    pens = problem(PENS, "35")
    said = "To find out, we add: $15 + 20 = 35$ pens. So 35 - 15 = 20. The answer is 35."
    draft = from_completion(pens, said)
    assert draft is not None
    assert (draft.example.question, draft.example.thinking, draft.example.answer) == (PENS, "15 + 20 = 35", "35")
    assert (draft.operations, draft.own) == ("+", True)
    twice = problem("Tom had 29 sweets, ate 5 and shares the others among 8 friends. How many has each?", 3.0)
    assert thinking(from_completion(twice, "29 − 5 = 24 and then 24 ÷ 8 = 3.")) == "29 - 5 = 24, 24 / 8 = 3"


def test_false_equations_and_numbers_from_nowhere_are_left_out() -> None:
    assert from_completion(problem(PENS, "35"), "15 + 20 = 36, so he has 35 pens.") is None
    assert thinking(from_completion(problem(PENS, "35"), "Now 7 * 5 = 35. He has 35 pens.")) == "Now 7 * 5 = 35."
    assert thinking(from_completion(problem("Who is it?", "B"), "<think> **Eva** is taller. So it is B. </think> B")) == (
        "Eva is taller. So it is B."
    )


def test_what_is_too_long_or_leads_nowhere_is_no_example() -> None:
    assert from_completion(problem(PENS, "35"), "I do not know.") is None
    assert from_completion(problem(PENS, "35"), "word " * 60 + "35") is None
    assert from_completion(problem("question " * 60, "35"), "15 + 20 = 35") is None
    assert from_completion(problem(PENS, {"tests": []}), "35") is None


def test_a_gold_answer_is_reached_by_the_one_operation_that_gives_it() -> None:
    assert thinking(from_gold(problem("42 coins were 30 before. How many are new?", "12"))) == "42 - 30 = 12"
    assert thinking(from_gold(problem("A box has 6 eggs. How many are in 7 boxes?", 42))) == "6 * 7 = 42"
    assert from_gold(problem("2 and 2?", 4)) is None  # 2 + 2 or 2 * 2
    assert from_gold(problem("1, 2 and 3?", 6)) is None
    assert thinking(from_gold(problem("Rome (A) or Oslo (B)?", "A"))) == "The answer is A."


def test_three_numbers_are_led_to_the_answer_in_two_steps() -> None:
    sweets = from_gold(problem("Tom had 31 sweets, ate 7 and shares the others among 8 friends. How many has each?", 3.0))
    assert sweets is not None
    assert (sweets.example.thinking, sweets.operations, sweets.kind) == ("31 - 7 = 24, 24 / 8 = 3", "-/", SEVERAL)
    tables = problem("A waiter had 6 tables, with 3 women and 5 men at each. How many guests had he?", 48)
    assert thinking(from_gold(tables)) == "3 + 5 = 8, 8 * 6 = 48"
    cups = problem(
        "7 cups cost 14 coins in all and 5 coins are left. How many coins were there for each cup's price of 9.5?", 1.5
    )
    assert from_gold(cups) is None  # four numbers


def test_a_way_that_may_be_chance_is_no_example() -> None:
    assert from_gold(problem("Sandy grew 8 carrots and 7 turnips. Mary grew 6 carrots. How many carrots?", 14)) is None  # 8 + 6
    assert from_gold(problem("4 red, 5 blue and 6 green pens: how many?", 15)) is None  # in any order
    assert (
        from_gold(problem("3 boys share 2 pies of 7 slices. How much has each?", "4.6667")) is None
    )  # no such number on the way


def test_examples_differ_in_their_operations_and_the_models_own_come_first() -> None:
    right = [
        (problem(f"{n} pens and {n + 1} more of them?", str(2 * n + 1), n), f"{n} + {n + 1} = {2 * n + 1}") for n in range(2, 9)
    ]
    others = [
        problem("9 apples, 4 eaten: how many are left?", "5", 20), problem("8 boxes of 7 eggs: how many eggs?", "56", 21),
        problem("90 pens and 10 more: how many?", "100", 22),
    ]  # fmt: skip
    chosen = choose_examples(right, others, 4)
    assert sorted(draft.operations for draft in chosen) == ["*", "+", "+", "-"]
    assert [draft.own for draft in chosen if draft.operations == "+"] == [True, True]
    assert len({draft.problem.id for draft in chosen}) == 4
    steps = problem("31 sweets, 7 eaten, the others for 8 friends: how many for each?", "3", 23)
    assert [draft.kind for draft in choose_examples(right, [steps, *others], 4)] == ["+", "-", "*", SEVERAL]
    assert [draft.kind for draft in choose_examples([], [*others, steps], 5)] == ["-", "*", "+", SEVERAL]
    assert choose_examples(right, others, 1)[0].own
    assert choose_examples([], [], 4) == []
