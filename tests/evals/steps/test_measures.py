"""The measures: on texts written by hand, and on the corpus, where it is known what people have done."""

from __future__ import annotations

import random

import pytest

from cogitate.evals.steps.measures import Steps, Turn, read_steps
from cogitate.tasks.corpus.puzzles.documents import DRAW, solve_puzzle
from cogitate.tasks.corpus.styles import Population
from cogitate.types import Problem

COUNTDOWN = Problem("1", "countdown", "countdown", "Use 4, 1 and 10.", fields={"numbers": [4, 1, 10], "target": 6})
SUM = Problem("2", "long_sums", "math", "What is 37 + 45 - 8?", gold="74")
KNIGHTS = Problem(
    "3", "knights", "logic", "Ann says: Ben is a knave. Ben says: Ann is a knave. ?", gold={"Ann": True, "Ben": False}
)


def test_who_rejects_a_try_and_goes_on() -> None:
    goes_on = read_steps("Try 4 + 10 = 14, 14 + 1 = 15, not 6. Try 10 - 4 = 6, 6 * 1 = 6, yes.", COUNTDOWN)
    assert (len(goes_on.tries), goes_on.rejects_and_goes_on) == (2, True)
    stops = read_steps("Try 4 + 10 = 14, 14 + 1 = 15, not 6. I give up.", COUNTDOWN)
    assert (len(stops.tries), stops.rejects_and_goes_on) == (1, False)
    pleased = read_steps("Try 4 + 10 = 14, 14 + 1 = 15, yes. Try 10 - 4 = 6, 6 * 1 = 6, yes.", COUNTDOWN)
    assert (len(pleased.tries), pleased.rejects_and_goes_on) == (2, False)
    knights = read_steps(
        "Try Ann knight, Ben knight. Ann (knight) says Ben is a knave: false, no. Try Ann knight, Ben knave. Yes.", KNIGHTS
    )
    assert (len(knights.tries), knights.rejects_and_goes_on) == (2, True)


def test_a_repeated_try_is_counted_and_not_distinct() -> None:
    once = "Try 4 + 10 = 14, 14 + 1 = 15, not 6. "
    steps = read_steps(once * 3, COUNTDOWN)
    assert (len(steps.tries), steps.distinct_tries) == (3, 1)


@pytest.mark.parametrize(
    ("text", "corrections"),
    [
        ("37 + 45 = 72, wait, 37 + 45 = 82. 82 - 8 = 74.", 1),
        ("37 + 45 = 72, check: 72 - 45 = 27, not 37. Again: 37 + 45 = 82. 82 - 8 = 74.", 1),
        ("37 + 45 = 72，不对，37 + 45 = 82。", 1),
        ("37 + 45 = 72, wait, 37 + 45 = 73.", 0),  # replaced by another wrong one
        ("37 + 45 = 82, wait, 37 + 45 = 82.", 0),  # nothing was wrong
        ("37 + 45 = 72. Wait, that is wrong. 72 - 8 = 64.", 0),  # words alone
        ("37 + 45 = 72. 72 - 8 = 64. 1 + 1 = 2. 2 + 2 = 4. 37 + 45 = 82.", 0),  # too late to be the same thought
    ],
)
def test_a_correction_is_verified(text: str, corrections: int) -> None:
    assert read_steps(text, SUM).self_corrections == corrections


def test_a_mended_truth_of_a_claim_is_a_correction() -> None:
    text = "Try Ann knight, Ben knave. Ann (knight) says Ben is a knave: false, wait, true, ok."
    assert read_steps(text, KNIGHTS).self_corrections == 1


@pytest.mark.parametrize(
    ("text", "problem", "turn"),
    [
        ("Try 4 + 10 = 14, 14 + 1 = 15, not 6. Try 10 - 4 = 6, 6 * 1 = 6, yes.", COUNTDOWN, (", not 6", "rejected try")),
        ("Try 4 + 10 = 14, 14 + 1 = 15, not 6. I give up.", COUNTDOWN, None),
        ("37 + 45 = 72, wait, 37 + 45 = 82. 82 - 8 = 74.", SUM, ("37 + 45 = 82", "mended slip")),
        ("37 + 45 = 72. Wait, that is wrong. 72 - 8 = 64.", SUM, None),
        (
            "试4 + 10 = 15，不对，4 + 10 = 14，14 + 1 = 15，不是6。试10 - 4 = 6，6 * 1 = 6，对。",
            COUNTDOWN,
            ("4 + 10 = 14", "mended slip"),
        ),
        (
            "Try Ann knight, Ben knight. Ann (knight) says Ben is a knave: false, no. Try Ann knight, Ben knave. Yes.",
            KNIGHTS,
            (", no", "rejected try"),
        ),
    ],
)
def test_the_turn_is_the_first_rejection_that_goes_on_or_the_first_mended_slip(
    text: str, problem: Problem, turn: tuple[str, str] | None
) -> None:
    found = read_steps(text, problem).turn
    assert (None if found is None else (text[found.start : found.end], found.kind)) == turn
    assert found is None or isinstance(found, Turn)


@pytest.mark.parametrize(
    "text",
    [
        "9" * 6000 + " / 5 leaves 2",
        "4 + 10 = 14, not " + "6" * 5000,
        " * ".join(["9999"] * 3000) + " = 4",
        "(" * 500 + "1" + ")" * 500 + " = 1 + 0",
        "1 / " * 900 + "1 = 1",
        " + ".join(["1"] * 1500) + " = 1500, yes",
    ],
)
def test_a_text_that_repeats_for_ever_is_read(text: str) -> None:
    for problem in (COUNTDOWN, SUM, KNIGHTS):
        assert read_steps(text, problem).tries == ()


def read_of(kind: str, habit: str, count: int = 40) -> list[Steps]:
    rng = random.Random(f"{kind}/{habit}")
    items = [DRAW[kind](rng, "corpus") for _ in range(count)]
    worked = [solve_puzzle(rng, kind, item, habit, Population()) for item in items]  # type: ignore[arg-type]
    return [read_steps(each.thinking, item.problem()) for each, item in zip(worked, items, strict=True)]


@pytest.mark.parametrize("kind", [kind for kind in DRAW if kind != "long_sums"])
def test_what_people_of_the_corpus_have_done_is_found(kind: str) -> None:
    assert {len(steps.tries) for steps in read_of(kind, "one")} == {1}
    assert not any(steps.rejects_and_goes_on for steps in read_of(kind, "one"))
    many = read_of(kind, "many")
    assert sum(len(steps.tries) for steps in many) > 2 * len(many)
    assert any(steps.rejects_and_goes_on for steps in many)
    statements = [statement for steps in many for statement in steps.statements]
    compared = [each.right for each in statements if each.kind == "comparison"]
    assert sum(each.right for each in statements) > 0.97 * len(statements)
    assert sum(compared) > 0.99 * len(compared)
