"""Thinking and answer of random completions, cut at random places."""

import random

from cogitate.apps.serve.drawing.splitter import Splitter, Text
from cogitate.apps.serve.drawing.stop_texts import StopTexts
from cogitate.tokenizer.thinking import split_thinking

PARTS = [
    "<think>", "</think>", "<think>", "</think>", "<thi", "nk>", "</", "think", "<", ">", "\n", "\n\n", " ", "a", "b c", "end",
    "stop", "\u00e9", "\u4f60\u597d", "\U0001f9e0", "</think", "`</think>`", "<answer>7</answer>",
]  # fmt: skip
BROKEN = [b"\xff", b"\xe4\xbd", b"\xf0\x9f", b"\xc3"]  # bytes that are no UTF-8


def completion(random_: random.Random) -> bytes:
    parts = [part.encode() for part in random_.choices(PARTS, k=random_.randint(0, 14))]
    return b"".join([*parts, *random_.choices(BROKEN, k=random_.random() < 0.2)] if random_.random() < 0.5 else parts)


def cut(data: bytes, random_: random.Random) -> list[bytes]:
    places = sorted(random_.randint(0, len(data)) for _ in range(random_.randint(0, 8)))
    return [data[first:last] for first, last in zip([0, *places], [*places, len(data)], strict=True)]


def joined(pieces: list[Text]) -> dict[str, str]:
    said = {"thinking": "", "answer": ""}
    for channel, text in pieces:
        assert text
        said[channel] += text
    return said


def read(parts: list[bytes], *, opened: bool, stops: tuple[str, ...] = ()) -> tuple[dict[str, str], str | None]:
    splitter = Splitter(tags=("<think>", "</think>"), opened=opened, stops=stops)
    pieces = [piece for part in parts for piece in splitter.feed(part)]
    return joined([*pieces, *splitter.finish()]), splitter.reached


def test_ten_thousand_cuts_change_nothing() -> None:
    random_ = random.Random(0)
    for _ in range(10_000):
        data, opened = completion(random_), random_.random() < 0.5
        stops = tuple(random_.sample(["stop", "end", "op b", "b", "\n\n", "nd</think>", "\u597d"], random_.randint(0, 3)))
        assert read(cut(data, random_), opened=opened, stops=stops) == read([data], opened=opened, stops=stops), (data, stops)


def test_no_thinking_is_in_the_answer_nor_the_reverse() -> None:
    random_ = random.Random(1)
    for _ in range(10_000):
        data, opened = completion(random_), random_.random() < 0.5
        text = data.decode(errors="replace")
        said, _ = read(cut(data, random_), opened=opened)
        parts = split_thinking(text, prefilled=opened)
        if not opened and not parts.opened and parts.closed:  # the closing tag alone: a stream had to call it answer
            assert (said["thinking"], said["answer"]) == ("", text.lstrip()) if "<think>" not in text else True
            continue
        assert said["thinking"] == (parts.thinking or "").strip()
        assert said["answer"] == (parts.preamble + parts.answer_region).lstrip()


def test_a_text_that_is_not_split_is_as_it_was_drawn() -> None:
    random_ = random.Random(2)
    for _ in range(1000):
        data = completion(random_)
        splitter = Splitter(tags=None)
        pieces = [piece for part in cut(data, random_) for piece in splitter.feed(part)]
        assert joined([*pieces, *splitter.finish()])["answer"] == data.decode(errors="replace")


def test_a_stop_text_ends_the_answer_and_not_the_thinking() -> None:
    said, reached = read([b"<think>a stop b</think>c st", b"op d"], opened=False, stops=("stop",))
    assert (said, reached) == ({"thinking": "a stop b", "answer": "c "}, "stop")


def test_of_stop_texts_that_overlap_the_first_to_be_complete_counts() -> None:
    for parts in (["abcd"], [*"abcd"]):
        stops = StopTexts(("abcd", "bc"))
        assert ("".join(map(stops.feed, parts)) + stops.finish(), stops.reached) == ("a", "bc")


def test_text_is_held_back_only_as_long_as_it_could_be_a_tag_or_a_stop_text() -> None:
    splitter = Splitter(tags=("<think>", "</think>"), stops=("stop",))
    assert splitter.feed(b"a < b st") == [("answer", "a < b ")]
    assert splitter.feed(b"ar <th") == [("answer", "star ")]
    assert splitter.feed(b"e") == [("answer", "<the")]
