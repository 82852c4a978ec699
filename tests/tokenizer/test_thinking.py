from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogitate.tokenizer.thinking import (
    ThinkingStream,
    answer_blocks,
    blank_code,
    split_thinking,
    strip_end_tokens,
)


def stream(pieces: list[str], *, prefilled: bool = False) -> dict[str, str]:
    parser = ThinkingStream(prefilled=prefilled)
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.finish()
    assert all(text for _, text in events)
    return {channel: "".join(text for name, text in events if name == channel) for channel in ("thinking", "answer")}


def test_thinking_then_answer_is_well_formed() -> None:
    parts = split_thinking("<think>a\nb</think>\nc")
    assert (parts.thinking, parts.answer_region) == ("a\nb", "\nc")
    assert parts.opened
    assert parts.closed
    assert parts.well_formed


def test_thinking_opened_by_the_prompt_starts_inside_it() -> None:
    parts = split_thinking("a</think>b", prefilled=True)
    assert (parts.thinking, parts.answer_region, parts.opened, parts.well_formed) == ("a", "b", False, True)


def test_close_without_open_is_thinking_but_well_formed_only_when_prefilled() -> None:
    parts = split_thinking("a</think>b")
    assert (parts.thinking, parts.answer_region, parts.well_formed) == ("a", "b", False)


def test_without_tags_everything_is_the_answer() -> None:
    parts = split_thinking("just text")
    assert (parts.thinking, parts.answer_region, parts.closed, parts.well_formed) == (None, "just text", False, False)


def test_truncated_thinking_leaves_no_answer() -> None:
    assert split_thinking("<think>a \\boxed{4}").answer_region == ""
    parts = split_thinking("a \\boxed{4}", prefilled=True)
    assert (parts.thinking, parts.answer_region, parts.closed, parts.well_formed) == ("a \\boxed{4}", "", False, False)


@pytest.mark.parametrize(
    "completion",
    [
        "<think>a<think>b</think>c",  # nested
        "<think>a</think>b<think>c</think>d",  # a second one
        "<think>a</think>b</think>c",  # closed twice
        "x<think>a</think>b",  # text before it
    ],
)
def test_repeated_or_late_tags_are_ill_formed_and_the_first_close_ends_the_thinking(completion: str) -> None:
    parts = split_thinking(completion)
    assert not parts.well_formed
    assert parts.closed
    assert parts.answer_region == completion.split("</think>", 1)[1]


def test_a_second_opening_is_ill_formed_when_the_prompt_opened_already() -> None:
    assert not split_thinking("<think>a</think>b", prefilled=True).well_formed


def test_tags_in_code_of_the_answer_are_text() -> None:
    assert split_thinking("<think>a</think>Use `<think>`:\n```xml\n<think>b</think>\n```").well_formed


def test_the_first_close_ends_the_thinking_even_inside_code() -> None:
    parts = split_thinking("<think>```\n</think>\n``` b")
    assert (parts.thinking, parts.answer_region) == ("```\n", "\n``` b")


def test_tags_with_spaces_or_capitals_are_text() -> None:
    assert split_thinking("< think >a</ think >b").thinking is None
    assert split_thinking("<THINK>a</THINK>b").thinking is None


def test_end_tokens_are_no_part_of_the_answer() -> None:
    assert strip_end_tokens("42<|im_end|>\n<|endoftext|> ") == "42"
    assert split_thinking("<think>a</think>42<|im_end|>").answer_region == "42"
    assert strip_end_tokens("42 ") == "42 "


def test_answer_blocks_are_found_in_order_and_may_hold_code() -> None:
    assert answer_blocks("<answer>1</answer> x <answer>```python\nprint('<answer>')\n```</answer>") == [
        "1",
        "```python\nprint('<answer>')\n```",
    ]
    assert answer_blocks("no `<answer>1</answer>` here, and <answer>2 is cut off") == []


def test_an_unclosed_fence_does_not_hide_the_closing_answer_tag() -> None:
    assert answer_blocks("<answer>```python\nf = 1</answer>") == ["```python\nf = 1"]


def test_blanked_code_keeps_every_position() -> None:
    text = "a `b` c\n```\nd\n``` e"
    assert len(blank_code(text)) == len(text)
    assert blank_code(text).split() == ["a", "c", "e"]


def test_a_stream_puts_out_text_as_soon_as_it_cannot_be_a_tag() -> None:
    parser = ThinkingStream(prefilled=True)
    assert parser.feed("1 < 2") == [("thinking", "1 < 2")]
    assert parser.feed(" so </thi") == [("thinking", " so ")]
    assert parser.feed("nk>4") == [("answer", "4")]
    assert parser.finish() == []


def test_a_stream_gives_back_a_tag_that_never_completes() -> None:
    assert stream(["<think>a</thi"]) == {"thinking": "a</thi", "answer": ""}


def test_after_the_thinking_a_stream_passes_tags_on_as_text() -> None:
    assert stream(["<think>a</think>b<think>c</think>"]) == {"thinking": "a", "answer": "b<think>c</think>"}


TAGGED = st.lists(st.sampled_from(["<think>", "</think>", "<", "</", "think>", "a", " ", "\n", "`", "```"]), max_size=12)


@given(TAGGED, st.booleans(), st.data())
def test_a_stream_agrees_with_the_whole_text_however_it_is_cut(tokens: list[str], prefilled: bool, data: st.DataObject) -> None:
    text = "".join(tokens)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert stream(pieces, prefilled=prefilled) == stream([text], prefilled=prefilled)
    parts = split_thinking(text, prefilled=prefilled)
    if prefilled or parts.opened:
        whole = {"thinking": parts.thinking or "", "answer": parts.preamble + parts.answer_region}
        assert stream(pieces, prefilled=prefilled) == whole
