from __future__ import annotations

import pytest

from cogitate.rewards.graders.knights_and_knaves import grade_knights_and_knaves, read_roles

GOLD = {"Ann": True, "Bob": False, "Eve": True}


@pytest.mark.parametrize(
    "answer",
    [
        "(1) Ann is a knight\n(2) Bob is a knave\n(3) Eve is a knight",
        "Ann is a knight, Bob is a knave, and Eve is a knight.",
        "EVE IS A KNIGHT. BOB IS A KNAVE. ANN IS A KNIGHT.",
        "Ann and Eve are knights; Bob is a knave.",
        "Knights: Ann, Eve\nKnaves: Bob",
        "**Ann**: knight\n**Bob**: knave\n**Eve**: knight",
        "Ann is not a knave; Bob isn't a knight; Eve is a truth-teller.",
        "Ann is a knight. Bob is a liar. Eve is a knight. So Ann is a knight.",
    ],
)
def test_every_way_to_give_the_right_roles_is_right(answer: str) -> None:
    assert grade_knights_and_knaves(f"<think>hm</think><answer>{answer}</answer>", GOLD).value == "right"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("Ann is a knight, Bob is a knight, Eve is a knight", "Bob is a knave"),
        ("Ann is a knight, Eve is a knight", "says nothing about Bob"),
        ("Ann is a knight, Bob is a knave, Eve is a knight. Ann is a knave.", "gives Ann two roles"),
        ("Ann is a knight or a knave, Bob is a knave, Eve is a knight", "leaves a role open"),
        ("Ann is a knight, Bob is a knave, Eve is a knight, Zed is a knave", "Zed, who is not in the puzzle"),
        ("All are knights", "says nothing about Ann"),
        ("", "empty"),
    ],
)
def test_a_role_that_is_wrong_missing_doubled_or_open_is_wrong(answer: str, why: str) -> None:
    verdict = grade_knights_and_knaves(f"<answer>{answer}</answer>", GOLD)
    assert verdict.value == "wrong"
    assert why in verdict.reason


def test_roles_that_stand_only_in_the_thinking_do_not_count() -> None:
    thinking = "<think>Ann is a knight, Bob is a knave, Eve is a knight</think>"
    assert grade_knights_and_knaves(f"{thinking}Done.", GOLD).value == "wrong"
    assert grade_knights_and_knaves(f"{thinking}Ann is a knight, Bob is a knave, Eve is a knight", GOLD).value == "right"


def test_names_within_words_are_no_names() -> None:
    assert read_roles("Annabel is a knight", ["Ann"])[0] == {}


def test_a_reference_that_is_no_mapping_to_roles_gives_no_verdict() -> None:
    assert grade_knights_and_knaves("Ann is a knight", {}, contract="bare").value == "none"


@pytest.mark.parametrize(
    "answer",
    [
        "The knight is Ann and the knaves are Bob and Eve.",
        "The knaves are Bob and Eve. The only knight is Ann.",
        "Ann是骑士，Bob是无赖，Eve是骗子。",
        "Neither Bob nor Eve is a knight; Ann is no knave.",
        "Bob cannot be a knight, Eve can never be a knight, Ann must be a knight.",
        "Suppose Bob is a knight? No. Ann is a knight. Bob and Eve are knaves.",
    ],
)
def test_lists_denials_and_chinese_are_read(answer: str) -> None:
    assert grade_knights_and_knaves(f"<answer>{answer}</answer>", {"Ann": True, "Bob": False, "Eve": False}).value == "right"


@pytest.mark.parametrize(
    "answer",
    [
        "If Ann is a knight, then Bob is a knave and Eve is a knight.",
        "Ann is a knight? Bob is a knave? Eve is a knight?",
        "Ann is a knight, Bob is a knave, Eve may be a knight",
        "Ann is a knight, Bob is a knave, Eve is probably a knight",
        "It is false that Ann is a knight. Bob is a knave. Eve is a knight.",
        "Ann is not a knave or Bob is a knave, Eve is a knight",
        "Ann or Eve is a knight. Bob is a knave.",
        "Knights: Ann or Eve. Knaves: Bob.",
        "Neither Ann nor Eve is a knight. Bob is a knave.",
        "Ann is a knight. Bob is a knave. Eve is no knight.",
        "Ann is a knight, Bob cannot be a knave, Eve is a knight",
        "The knights are Ann and Eve, not Bob.",
    ],
)
def test_suppositions_doubts_and_disjunctions_state_no_role(answer: str) -> None:
    assert grade_knights_and_knaves(f"<answer>{answer}</answer>", GOLD).value == "wrong"


def test_somebody_whose_name_is_a_word_of_doubt_is_in_the_puzzle() -> None:
    roles = {"May": True, "Bob": False}
    assert grade_knights_and_knaves("<answer>May is a knight, Bob is a knave</answer>", roles).value == "right"


def test_a_statement_that_gives_everybody_a_role_counts_without_the_roles_tried_before() -> None:
    roles = {"Ann": True, "Bob": False}
    tried = "Try Ann knave, Bob knave. Ann (knave) says Bob is a knave: true, no. Try Ann knight, Bob knave. Yes. "
    for closing in ("The answer is Ann is a knight, Bob is a knave.", "Answer: Ann is a knight, Bob is a knave"):
        assert grade_knights_and_knaves(tried + closing, roles, contract="free").value == "right"
    assert grade_knights_and_knaves(f"{tried}Answer: Ann is a knave, Bob is a knight", roles, contract="free").value == "wrong"
    lines = "The answer is\nAnn is a knight.\nBob is a knave."
    assert grade_knights_and_knaves(lines, roles, contract="free").value == "right"
