"""Texts in parts with marks, and what an edit changed."""

from typing import Any

import pytest
from diff_match_patch import diff_match_patch

from cogitate.apps.studio.reading import delta, pieces, read, word_diff


def marks(read_text: dict[str, Any]) -> list[tuple[str, str]]:
    return [(text, mark) for text, mark in read_text["thinking"] if mark]


def test_thinking_and_answer_stand_apart_and_the_answer_is_marked() -> None:
    found = read("<think> 1 + 4 = 5. </think>\nThe answer is \\boxed{5}.", language="en", extracted="5")
    assert found["thinking"] == [("1 + 4 = 5.", "")]
    assert found["answer"] == [("The answer is \\boxed{", ""), ("5", "answer"), ("}.", "")]
    assert read("No tags at all.", language="en")["thinking"] is None


@pytest.mark.parametrize(
    ("thinking", "fault", "marked"),
    [
        ("All is well here. Das ist nicht gut und es wird auch nicht besser.", "mixed language", ["Das ist nicht gut"]),
        ("Look:\n```python\nx = 1\n```\nDone.", "code block", ["```python\nx = 1\n```"]),
        ("a b c d. x y. a b c d. z", "repetition", ["a b c d."]),
        ("fine \x07 and \ufffd", "unreadable characters", ["\x07", "\ufffd"]),
        (f"short\n\n{'word ' * 201}", "overlong paragraph", ["word word"]),
    ],
)
def test_what_is_unreadable_is_marked_where_it_stands(thinking: str, fault: str, marked: list[str]) -> None:
    found = marks(read(f"<think> {thinking} </think>\nyes", language="en", faults=[fault]))
    assert [mark for _, mark in found] == [fault] * len(marked)
    for (text, _), wanted in zip(found, marked, strict=True):
        assert text.strip().startswith(wanted)


def test_a_paragraph_is_marked_without_the_lines_around_it_however_many_there_are() -> None:
    paragraph = ("word " * 201).strip()
    thinking = "\n".join(["short", *[" "] * 40_000, paragraph, *[""] * 40_000, "x"])
    found = marks(read(f"<think> {thinking} </think>\nyes", language="en", faults=["overlong paragraph"]))
    assert found == [(paragraph, "overlong paragraph")]


def test_pieces_are_the_text_again_also_where_marks_overlap() -> None:
    found = pieces("abcdef", [(1, 4, "x"), (2, 6, "y"), (4, 5, "z")])
    assert found == [("a", ""), ("bcd", "x"), ("e", "z"), ("f", "")]


def test_a_diff_is_of_whole_words_and_its_delta_leads_from_one_text_to_the_other() -> None:
    before, after = "the cat sat on the mat", "the dog sat on the big mat 好"
    assert [(op, text) for op, text in word_diff(before, after) if op] == [(-1, "cat"), (1, "dog"), (1, "big "), (1, " 好")]
    matcher = diff_match_patch()
    found = matcher.diff_fromDelta(before, delta(before, after))
    assert matcher.diff_text2(found) == after
