import json
import random

import pytest

from cogitate.tokenizer.tools.call_forms import DEEPSEEK_R1, DEEPSEEK_V31, FORMS, HERMES, LLAMA3, CallForm, texts_with_tags
from cogitate.tokenizer.tools.call_stream import Said, TaggedCalls, call_reader, calls_in
from cogitate.tokenizer.tools.turns import ToolCall
from tests.processor_time import grows_in_proportion

ADD = ToolCall("add", '{"a": 1, "b": "}</tool"}')
NOW = ToolCall("now", "{}")


def read(pieces: list[str], form: CallForm) -> list[Said]:
    reader = call_reader(form)
    said: list[Said] = []
    for each in [*(each for piece in pieces for each in reader.feed(piece)), *reader.finish()]:
        if said and isinstance(each, str) and isinstance(said[-1], str):
            said[-1] += each
        else:
            said.append(each)
    return said


@pytest.mark.parametrize("form", FORMS)
def test_what_a_form_writes_it_reads(form: CallForm) -> None:
    assert calls_in(form.text_of([ADD, NOW]), form) == [ADD, NOW]


def test_text_beside_calls_loses_its_white_space_there_and_text_without_calls_keeps_all() -> None:
    call = HERMES.text_of([NOW])
    assert read([f"  I see.\n\n{call}\n{call}\n\nWell \n"], HERMES) == ["  I see.", NOW, NOW, "Well \n"]
    assert read([" a < b \n"], HERMES) == [" a < b \n"]


def test_a_call_may_miss_its_closing_tag() -> None:
    assert read(['<tool_call>{"name": "now", "arguments": {}}'], HERMES) == [NOW]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>\nnow\n</tool_call>",
        '<tool_call>{"name": "now", "arguments": [1]}</tool_call> and more',
        '<tool_call>{"name": 1, "arguments": {}}</tool_call>',
        '<tool_call>{"name": "now", "arguments": {"x": NaN}}</tool_call>',
        '<tool_call>{"name": "now", "arguments": {"x": 1e999}}</tool_call>',
        '<tool_call>{"name": "now", "arguments": {"x": ' + "[" * 9999 + "</tool_call>",
        '<tool_call>{"name": "now", "arg',
        "<tool_cal",
        "</tool_call>",
    ],
)
def test_what_looks_like_a_call_and_is_none_is_text(text: str) -> None:
    assert read([text], HERMES) == [text]


def test_deepseek_writes_the_word_function_and_a_fence_or_neither() -> None:
    assert DEEPSEEK_R1.text_of([NOW]) == (
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
    )
    assert calls_in(DEEPSEEK_V31.text_of([ADD]), DEEPSEEK_R1) == [ADD]
    assert read(["<｜tool▁call▁begin｜>function<｜tool▁call▁end｜>"], DEEPSEEK_R1) == [
        "<｜tool▁call▁begin｜>function<｜tool▁call▁end｜>"
    ]


def test_a_tag_in_a_string_of_a_call_does_not_end_it() -> None:
    for tag in (HERMES.closes, HERMES.opens):
        call = ToolCall("add", json.dumps({"a": f'x "\\ {tag} y'}))
        assert read([HERMES.text_of([call, NOW])], HERMES) == [call, NOW]


def test_a_tag_that_is_mentioned_or_begins_no_call_is_text_and_the_call_behind_it_is_read() -> None:
    for mentioned in ("I write <tool_call> first:", '<tool_call>{"name": "add\n', '<tool_call>{"name": 1}</tool_call>'):
        assert read([f"{mentioned}\n{HERMES.text_of([NOW])}"], HERMES) == [mentioned.rstrip(), NOW]
    assert read([f'<tool_call> "{HERMES.text_of([NOW])[:-13]}'], HERMES) == ['<tool_call> "', NOW]


def test_text_behind_a_tag_that_is_mentioned_is_not_held_back() -> None:
    reader = call_reader(HERMES)
    assert reader.feed("The tag <tool_call> \n") == ["The tag"]
    assert reader.feed("begins") == [" <tool_call>", " \nbegins"]
    assert reader.feed(" a call.") == [" a call."]


def test_what_calls_a_function_that_is_not_offered_is_text() -> None:
    for form, text in ((LLAMA3, '{"name": "Bob"}'), (HERMES, '<tool_call>{"name": "Bob"}</tool_call>')):
        reader = call_reader(form, {"now"})
        assert "".join(str(each) for each in [*reader.feed(text), *reader.finish()]) == text
        reader = call_reader(form, {"now"})
        assert [*reader.feed(form.text_of([NOW])), *reader.finish()] == [NOW]


def test_arguments_that_are_not_unicode_are_no_call() -> None:
    text = '<tool_call>{"name": "now", "arguments": {"a": "\\ud800"}}</tool_call>'
    assert read([text], HERMES) == [text]


@pytest.mark.parametrize(("form", "begin"), [(HERMES, "<tool_call>"), (HERMES, "\n"), (LLAMA3, "{"), (LLAMA3, " ")])
def test_held_text_is_looked_at_once(form: CallForm, begin: str) -> None:
    """What is left to look at, and what is kept to compare, does not grow with what is held back."""
    reader = call_reader(form)
    said = reader.feed(begin)
    for _ in range(1000):
        assert reader.feed(" ") == []
    assert len(reader._ahead if isinstance(reader, TaggedCalls) else reader._start) < 2  # type: ignore[attr-defined]
    assert "".join(map(str, [*said, *reader.finish()])) == begin + " " * 1000


@pytest.mark.parametrize(
    "part", ['<tool_call>\\"', '<tool_call>{\\"', '<tool_call>{"a": "\\"', '<tool_call>{"', '<tool_call>{"a']
)
def test_tags_that_begin_no_call_are_read_in_linear_time(part: str) -> None:
    assert grows_in_proportion(lambda size, go: read([part] * size, HERMES), 500, slack=0.02)


def test_bare_calls_are_the_whole_answer_or_text() -> None:
    call = LLAMA3.text_of([NOW])
    assert read([f"<|python_tag|>{call}"], LLAMA3) == [NOW]
    assert read([f"Well: {call}"], LLAMA3) == [f"Well: {call}"]
    assert read([f"{call} is it"], LLAMA3) == [f"{call} is it"]
    assert read(['{"answer": 4}'], LLAMA3) == ['{"answer": 4}']


def test_what_is_read_does_not_depend_on_how_the_text_is_cut() -> None:
    random.seed(0)
    tags = [tag for form in FORMS for tag in (form.opens, form.closes, form.begins, form.ends)]
    parts = [
        "\n",
        " text",
        "<tool",
        ">",
        "now",
        "{}",
        "; ",
        '"',
        "\\",
        "</tool_call>",
        '{"name": "now", "arguments": {}}',
        *tags,
    ]
    found = 0
    for _ in range(3000):
        form = random.choice(FORMS)
        text = "".join(random.choices([*parts, form.text_of([NOW])], k=random.randint(1, 9)))
        places = sorted(random.sample(range(len(text) + 1), min(len(text), random.randint(0, 12))))
        pieces = [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]
        whole = read([text], form)
        assert read(pieces, form) == whole == read([*text], form), (text, pieces)
        found += any(isinstance(each, ToolCall) for each in whole)
    assert found > 50


def test_tokens_that_stand_around_calls_are_read_as_their_tags() -> None:
    names = [DEEPSEEK_V31.begins, DEEPSEEK_V31.opens, "<｜tool▁sep｜>", DEEPSEEK_V31.closes, DEEPSEEK_V31.ends, "<｜User｜>"]
    control = {name: number for number, name in enumerate(names)}
    texts = texts_with_tags([b""] * 6 + [b"now", b"{}"], DEEPSEEK_V31, control)
    said = b"".join(texts[token] for token in (0, 1, 6, 2, 7, 3, 4, 5)).decode()
    assert calls_in(said, DEEPSEEK_V31) == [ToolCall("now", "{}")]
    assert texts[5] == b""
