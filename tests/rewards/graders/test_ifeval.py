from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.rewards.graders.ifeval import CHECKS, follows, grade_ifeval, sentences

CASES = [
    # instruction, arguments, a response that keeps it, one that breaks it
    ("keywords:existence", {"keywords": ["Mom", "tea"]}, "mom drinks TEA", "mom drinks"),
    ("keywords:frequency", {"keyword": "war", "relation": "at least", "frequency": 2}, "War and war", "war"),
    ("keywords:frequency", {"keyword": "a.c", "relation": "less than", "frequency": 1}, "abc", "a.c"),
    ("keywords:forbidden_words", {"forbidden_words": ["name"]}, "rename it", "my name"),
    ("keywords:letter_frequency", {"letter": "o", "let_relation": "less than", "let_frequency": 2}, "O k", "O no"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n\n***\nb", "a\n***\n\n***\nb"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one two, three", "one two"),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "less than"}, "One. Two at 3.5.", "Ay. Be! See?"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "send"},
        "Hello.\n\n**Send** it.",
        "Send it.\n\nHello.",
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S. Hello", "Bye. P S Hello"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP.P.S Hello", "Bye.\nP.S. Hello"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] at [address]", "[name]"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "x\n* a\n- b", "* a\n* b\n* c"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}, "* a\n---\n* b", "* a\n**\n* b"),
    ("detectable_format:title", {}, "<<A day>>\nText", "<< >>\nText"),
    ("detectable_format:constrained_response", {}, "My answer is no.", "No."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and **b c**", "*a* and **"),
    ("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 2}, "Part 1 a Part 2 b", "Part 1"),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', "{'a': 1}"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi."}, "Say hi.\nHi!", "Hi! Say hi."),
    ("combination:two_responses", {}, "a\n******\nb", "a\n******\na"),
    ("change_case:english_capital", {}, "THIS IS THE END.", "This is THE END."),
    ("change_case:english_capital", {}, "HOW ARE YOU?", "C'EST LA FIN DES HARICOTS POUR NOUS."),
    ("change_case:english_lowercase", {}, "this is the end.", "This is the end."),
    (
        "change_case:capital_word_frequency",
        {"capital_relation": "at least", "capital_frequency": 2},
        "BIG and RED",
        "Big and RED",
    ),
    ("startend:end_checker", {"end_phrase": "Peace!"}, "Love and peace!", "Peace! Bye."),
    ("startend:quotation", {}, '"all of it"', '"some" of it'),
    ("punctuation:no_comma", {}, "a and b", "a, b"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "kept", "broken"), CASES)
def test_an_instruction_is_kept_by_one_response_and_broken_by_the_other(
    name: str, arguments: dict[str, Any], kept: str, broken: str
) -> None:
    assert follows(kept, name, arguments) is True
    assert follows(broken, name, arguments) is False


def test_every_instruction_has_a_case() -> None:
    assert {name for name, *_ in CASES} == set(CHECKS)


def test_the_language_of_a_response_is_told_by_its_script_or_by_lingua() -> None:
    pytest.importorskip("lingua")
    name = "language:response_language"
    assert follows("오늘은 날씨가 좋습니다.", name, {"language": "ko"}) is True
    assert follows("Today the weather is fine.", name, {"language": "ko"}) is False
    assert follows("आज मौसम बहुत अच्छा है और हम बाहर जा रहे हैं।", name, {"language": "hi"}) is True
    assert follows("आज हवामान खूप चांगले आहे आणि आम्ही बाहेर जात आहोत.", name, {"language": "hi"}) is False
    assert follows("Hoje o tempo está muito bom e nós vamos sair.", name, {"language": "pt"}) is True
    assert follows("Today the weather is fine and we go out.", name, {"language": "pt"}) is False


def test_all_instructions_must_be_kept_and_the_share_is_partial_credit() -> None:
    names, arguments = ["punctuation:no_comma", "startend:quotation"], [{}, {"x": None}]
    assert grade_ifeval('"fine"', names, arguments, contract="bare").value == "right"
    half = grade_ifeval("fine", names, arguments, contract="bare", partial=True)
    assert (half.value, half.score) == ("wrong", 0.5)
    assert "startend:quotation" in half.reason
    assert grade_ifeval("fine", names, arguments, contract="bare").score == 0.0


def test_the_thinking_is_not_looked_at() -> None:
    assert grade_ifeval("<think>a, b, c</think>fine", ["punctuation:no_comma"], [{}]).value == "right"
    assert grade_ifeval("<think>fine", ["punctuation:no_comma"], [{}]).value == "wrong"


def test_unknown_instructions_and_missing_arguments_are_errors_of_the_data() -> None:
    with pytest.raises(DataError, match="unknown"):
        grade_ifeval("a", ["punctuation:no_dots"], [{}])
    with pytest.raises(DataError, match="num_words"):
        grade_ifeval("a", ["length_constraints:number_words"], [{"relation": "at least"}])


def test_abbreviations_decimals_and_lists_close_no_sentence() -> None:
    assert len(sentences("Dr. Lee, e.g., paid 3.5 dollars. J. K. left!\n1. One\n2. Two")) == 3  # the list is one
    assert len(sentences("他走了。我来了！")) == 2


def test_every_instruction_of_the_data_set_can_be_checked(corpus: Callable[[str], list[dict[str, Any]]]) -> None:
    pytest.importorskip("lingua")
    for row in corpus("instruction/ifeval"):
        for name, arguments in zip(row["instruction_id_list"], row["kwargs"], strict=True):
            assert follows("A plain answer.", name, arguments) in (True, False), (row["id"], name)


SECTIONS = {"section_spliter": "SECTION", "num_sections": 2}


@pytest.mark.parametrize(
    "response",
    [
        "SECTION 1\na\nSECTION 2\nb",
        "**SECTION 1**\na\n**SECTION 2**\nb",
        "__SECTION 1__ a __SECTION 2__ b",
        "SECTION1: a\nSECTION2: b",
        "# SECTION 1\na\n# SECTION 2\nb\n# SECTION 3\nc",
        "SECTION 10. a SECTION 11. b",
        "SECTION\n1 a\nSECTION\n2 b",
        "(SECTION 1) a (SECTION 2) b",
        "SECTION 1 SECTION 2",
        "SECTION 1/2 a SECTION 2/2 b",
    ],
)
def test_sections_are_counted_by_their_numbers(response: str) -> None:
    assert follows(response, "detectable_format:multiple_sections", SECTIONS) is True
    assert follows(response, "detectable_format:multiple_sections", {**SECTIONS, "section_spliter": " SECTION "}) is True


@pytest.mark.parametrize(
    "response",
    [
        "SECTION 1\na\nsection 2\nb",
        "SECTION I a SECTION II b",
        "SECTION A a SECTION B b",
        "SECTION one a SECTION two b",
        "SUBSECTION 1 a SUBSECTION 2 b",
        "SECTIONS 1 and 2",
        "SECTION: 1 a SECTION: 2 b",
        "1 SECTION a 2 SECTION b",
        "SECTION 1 a",
        "",
    ],
)
def test_what_has_no_number_behind_the_marker_is_no_section(response: str) -> None:
    assert follows(response, "detectable_format:multiple_sections", SECTIONS) is False


@pytest.mark.parametrize(
    ("name", "arguments", "kept", "broken"),
    [
        ("keywords:existence", {"keywords": [" tea ", "milk\n"]}, "Tea, milk.", "tea"),
        ("keywords:existence", {"keywords": ["green tea "]}, "I drink green tea.", "I drink green  tea."),
        ("keywords:frequency", {"keyword": " war ", "relation": "at least", "frequency": 2}, "War, war!", "war"),
        ("keywords:frequency", {"keyword": "war\t", "relation": "less than", "frequency": 2}, "one war.", "war. war."),
        ("keywords:forbidden_words", {"forbidden_words": [" name"]}, "rename", "(name)"),
        ("keywords:forbidden_words", {"forbidden_words": ["no way "]}, "noway", "no way!"),
        ("keywords:letter_frequency", {"letter": " o", "let_relation": "at least", "let_frequency": 2}, "o-o", "o "),
        ("length_constraints:nth_paragraph_first_word",
         {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "send "}, "Send it.", "It."),
        ("startend:end_checker", {"end_phrase": " Bye. "}, "So bye.", "Bye. So"),
        ("detectable_content:postscript", {"postscript_marker": " P.S. "}, "P.S. Hi", "PS Hi"),
    ],
)  # fmt: skip
def test_white_space_around_a_word_to_look_for_does_not_count(
    name: str, arguments: dict[str, Any], kept: str, broken: str
) -> None:
    assert follows(kept, name, arguments) is True
    assert follows(broken, name, arguments) is False


@pytest.mark.parametrize(
    ("marker", "response", "kept"),
    [
        ("P.S.", "Bye. P.S. Hello", True),
        ("P.S.", "All the best, Ann (P.S. call me)", True),
        ("P.S.", "**P.S.** Hello", True),
        ("P.S.", "Bye, p. s. hello", True),
        ("P.S.", "Bye.\n\n> P.S. Hello", True),
        ("P.P.S", "Bye. P.P.S. Hello", True),
        ("P.P.S", "Bye. P. P. S Hello", True),
        ("P.S.", "Bye. PS: Hello", False),
        ("P.S.", "See the maps. Hello", False),
        ("P.S.", "Lamp.s. Hello", False),
        ("P.P.S", "Bye. P.S. Hello", False),
        ("P.P.S", "Bye. PPS Hello", False),
    ],
)
def test_a_postscript_may_begin_inside_a_line(marker: str, response: str, kept: bool) -> None:
    assert follows(response, "detectable_content:postscript", {"postscript_marker": marker}) is kept
