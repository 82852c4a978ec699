"""The measures: on texts written by hand, and on the corpus, where it is known what people have done."""

from __future__ import annotations

import random

import pytest

from cogitate.evals.steps.measures import Steps, measure_steps, read_steps, step_accuracy
from cogitate.evals.steps.statements import Statement
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


def test_single_step_accuracy_by_kind_and_of_all() -> None:
    statements = [
        Statement("equation", 0, 1, "1+1", True),
        Statement("equation", 2, 3, "1+2", False),
        Statement("claim", 4, 5, "A", True),
    ]
    assert step_accuracy(statements) == {"claim": 1.0, "equation": 0.5, "all": pytest.approx(2 / 3)}
    assert step_accuracy([]) == {}


def test_means_over_completions() -> None:
    good = "Try 4 + 10 = 14, 14 + 1 = 15, not 6. Try 10 - 4 = 6, 6 * 1 = 6, yes."
    measures = measure_steps([(good, COUNTDOWN), ("", COUNTDOWN)])
    assert (measures.tries, measures.rejecting_rate, measures.self_correction_rate) == (1.0, 0.5, 0.0)
    assert measures.step_accuracy == {"comparison": 1.0, "equation": 1.0, "all": 1.0}
    with pytest.raises(ValueError, match="no completions to measure"):
        measure_steps([])


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
    assert step_accuracy(statements)["all"] > 0.97
    assert step_accuracy(statements)["comparison"] > 0.99
