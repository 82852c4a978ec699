"""Claims of knights and knaves on texts written by hand, in both languages."""

from __future__ import annotations

import pytest

from cogitate.evals.steps.claims import find_claims, find_trials, said_in
from cogitate.tasks.puzzles.claims import Claim

NAMES = ["Ann", "Ben"]
QUESTION = "Knights say what is true. Ann says: Ben is a knave. Ben says: Ann and Ben are the same. Who is what?"


def judged(text: str, names: list[str], question: str) -> list[tuple[str, str, bool]]:
    return [(each.kind, each.subject, each.right) for each in find_claims(text, names, said_in(question, names))]


def test_who_says_what_is_read_from_the_question() -> None:
    assert said_in(QUESTION, NAMES) == {"Ann": Claim("knave", ("Ben",)), "Ben": Claim("same", ("Ann", "Ben"))}
    chinese = "骑士说真话，无赖说假话。小明说：小红是无赖。小红说：小明和小红是同一种人。谁是骑士，谁是无赖？"
    assert said_in(chinese, ["小明", "小红"]) == {"小明": Claim("knave", ("小红",)), "小红": Claim("same", ("小明", "小红"))}


def test_the_truth_of_a_claim_is_that_under_the_roles_tried_last() -> None:
    text = (
        "Try Ann knight, Ben knight. Ann (knight) says Ben is a knave: false, no. "
        "Try Ann knight, Ben knave. Ann (knight) says Ben is a knave: false, ok. "
        "Ben (knave) says Ann and Ben are the same: false, ok."
    )
    assert judged(text, NAMES, QUESTION) == [
        ("claim", "1:Ann", True),
        ("comparison", "1:Ann fits", True),
        ("claim", "2:Ann", False),  # Ben is a knave here
        ("comparison", "2:Ann fits", False),  # a knight who says what is called false does not fit
        ("claim", "2:Ben", True),
        ("comparison", "2:Ben fits", True),
    ]


def test_roles_that_are_noted_in_a_claim_must_be_those_that_are_tried() -> None:
    for text, right in (
        ("Try Ann knight, Ben knave. Ann (knight) says Ben (knave) is a knave: true", True),
        ("Try Ann knight, Ben knave. Ann (knight) says Ben (knight) is a knave: true", False),
        ("Try Ann knight, Ben knave. Ben (knave) says Ann (knight) and Ben (knave) are the same: false", True),
    ):
        assert [each[2] for each in judged(text, NAMES, QUESTION)] == [right], text


def test_chinese_claims_are_judged_and_a_mended_truth_is_a_second_statement() -> None:
    question = "小明说：小红是无赖。小红说：小明和小红是同一种人。谁是骑士，谁是无赖？"
    text = (
        "试小明骑士，小红无赖。小明（骑士）说小红是无赖：假，等等，不对，真，行。小红（无赖）说小明和小红是同一种人：真，不行。"
    )
    assert judged(text, ["小明", "小红"], question) == [
        ("claim", "1:小明", False),
        ("claim", "1:小明", True),
        ("comparison", "1:小明 fits", True),
        ("claim", "1:小红", False),
        ("comparison", "1:小红 fits", True),  # true and a knave: it does not fit, as is said
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Ann says Ben is a knave: true, ok.",  # nothing is tried yet
        "Try Ann knight, Ben knave. Ann says Ben is a fool: true.",
        "Try Ann knight, Ben knave. Ann is a nice person: true.",
        "Try Ann knight. Ann says Ben is a knave: true.",  # not everybody has a role
        "Ann says: Ben is a knave. Is that true?",
    ],
)
def test_what_cannot_be_judged_is_no_statement(text: str) -> None:
    assert judged(text, NAMES, QUESTION) == []


def test_a_claim_that_was_not_made_and_a_role_that_was_not_tried_are_wrong() -> None:
    assert judged("Try Ann knight, Ben knave. Ann says Ben is a knight: false.", NAMES, QUESTION) == [("claim", "1:Ann", False)]
    assert judged("Try Ann knight, Ben knave. Ann (knave) says Ben is a knave: true.", NAMES, QUESTION) == [
        ("claim", "1:Ann", False)
    ]


def test_trials_give_everybody_a_role_and_are_not_what_people_say() -> None:
    said = "Ann says Ann is a knight and Ben is a knave: true."
    text = f"Suppose Ann is a knight and Ben is a knave. {said} Try Ann knave, Ben knave."
    assert [dict(trial.roles) for trial in find_trials(text, NAMES)] == [
        {"Ann": True, "Ben": False},
        {"Ann": False, "Ben": False},
    ]
