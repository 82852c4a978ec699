"""What a message may hold: thinking in fields of its own, parts, flags; and what is refused, because it would be lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cogitate.errors import DataError
from cogitate.tasks.files.datasets import load_conversations
from cogitate.tasks.files.messages import read_message, unread_fields
from cogitate.types import Conversation, Message

USER = {"role": "user", "content": "2+2?"}
THOUGHT = "<think>\n2 and 2\n</think>\n\n4"


def load(tmp_path: Path, *rows: dict[str, Any]) -> list[Conversation]:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_conversations(path)


def said(**fields: Any) -> Message:
    return read_message({"role": "assistant", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "4", "reasoning_content": "2 and 2"},
        {"content": "4", "reasoning": " 2 and 2\n"},
        {"content": "\n4", "thinking": "<think>\n2 and 2\n</think>"},
        {"content": "4", "reasoning_content": "2 and 2", "reasoning": "2 and 2", "thinking": None},
        {"content": [{"type": "thinking", "thinking": "2 and 2"}, {"type": "text", "text": "4"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "2 and 2"}]}, {"type": "text", "text": "4"}]},
        {"content": "<think>2 and 2</think>\n4", "reasoning_content": "2 and 2"},
        {"content": "</think>\n\n4", "reasoning_content": "2 and 2"},
        {"content": "4", "reasoning_content": [{"type": "text", "text": "2 and 2"}]},
    ],
)
def test_thinking_in_a_field_of_its_own_stands_in_tags_before_the_content(fields: dict[str, Any]) -> None:
    assert said(**fields) == Message("assistant", THOUGHT)


@pytest.mark.parametrize("nothing", [None, "", " \n", [], {}])
def test_an_empty_field_of_thinking_is_no_thinking(nothing: str | list[Any] | dict[str, Any] | None) -> None:
    assert said(content="4", reasoning_content=nothing) == Message("assistant", "4")


def test_several_parts_of_text_are_one_text_and_unknown_fields_are_counted(tmp_path: Path) -> None:
    assert said(content=[{"type": "text", "text": "It is "}, "4", {"type": "output_text", "text": "."}]).content == "It is 4."
    messages = [{**USER, "name": "Ann", "id": 3}, {"role": "assistant", "content": "4", "name": None, "tool_calls": []}]
    assert list(unread_fields(messages)) == ["name", "id"]
    assert load(tmp_path, {"messages": messages})[0].messages[1] == Message("assistant", "4")


@pytest.mark.parametrize(
    ("flags", "learn"),
    [({"weight": 0}, False), ({"weight": 1.0}, True), ({"train": False}, False), ({"train": True, "weight": 1}, True),
     ({"loss": False}, False), ({"training": False, "weight": 0}, False), ({"weight": None}, True)],
)  # fmt: skip
def test_a_turn_of_weight_0_is_read_and_not_learnt(flags: dict[str, Any], learn: bool) -> None:
    assert said(content="old", **flags) == Message("assistant", "old", learn)
    assert read_message({**USER, **flags}) == Message("user", "2+2?")  # of a user nothing is learnt anyway


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"content": "4", "tool_calls": [{"function": {"name": "add"}}]}, "tool_calls: calls of tools .* remove the row"),
        ({"content": None, "function_call": {"name": "add"}}, "function_call: calls of tools"),
        ({"role": "tool", "content": "4"}, "role tool: calls of tools and their results are not learnt"),
        ({"role": "observation", "content": "4"}, "role observation: calls of tools"),
        ({"content": [{"type": "image_url", "image_url": "x"}]}, "a part of content that is no text cannot be learnt"),
        ({"content": [{"type": "tool_use", "name": "add"}]}, "a part of content that is no text"),
        ({"content": None}, "a message is .*, got the content None"),
        ({"content": {"text": "4"}}, "a message is"),
        ({"content": "4", "reasoning_content": {"text": "a"}}, "reasoning_content must be a text"),
        ({"content": "4", "reasoning_content": "a", "thinking": "b"}, "reasoning_content and thinking are different"),
        ({"content": "<think>b</think>4", "thinking": "a"}, "content has other thinking than the field of its own: 'b'"),
        ({"content": "4", "thinking": "a </think> b"}, "thinking holds a tag"),
        ({"content": "4", "thought": "2 and 2"}, "the field 'thought' is not understood: rename it to reasoning_content"),
        ({"content": "4", "reasoning_details": [{"text": "a"}]}, "the field 'reasoning_details' is not understood"),
        ({"content": "4", "train_detail": [{"begin": 0}]}, "the field 'train_detail' is not understood: it would be lost"),
        ({"content": "4", "weight": 0.5}, "weight must be 0 or 1, got 0.5"),
        ({"content": "4", "train": "no"}, "train must be 0 or 1, got 'no'"),
        ({"content": "4", "weight": 1, "train": False}, "weight and train contradict each other"),
        ({"role": "user", "content": "4", "thinking": "a"}, "thinking in a turn of role user"),
    ],
)
def test_what_would_be_lost_is_refused_by_line(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    rows = {"messages": [USER, {"role": "assistant", "content": "4"}]}, {"messages": [USER, {"role": "assistant", **fields}]}
    with pytest.raises(DataError, match=rf"rows\.jsonl, line 2: messages: {message}.*\(message 2\)$"):
        load(tmp_path, *rows)


def test_sharegpt_rows_are_read(tmp_path: Path) -> None:
    turns = [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]
    wanted = (Message("system", "Be brief."), Message("user", "2+2?"), Message("assistant", "4"))
    assert load(tmp_path, {"conversations": turns, "id": "a"}) == [Conversation(wanted, {"id": "a"})]
    assert load(tmp_path, {"conversations": turns[1:], "system": "Be brief."}) == [Conversation(wanted)]
    assert load(tmp_path, {"messages": turns, "system": "Be brief."}) == [Conversation(wanted)]
    learnt = load(tmp_path, {"conversations": [*turns[1:], turns[1], {**turns[2], "weight": 0}]})[0].messages
    assert [message.learn for message in learnt] == [True, True, True, False]
    with pytest.raises(DataError, match="line 1: conversations: role function_call: calls of tools"):
        load(tmp_path, {"conversations": [*turns, {"from": "function_call", "value": "{}"}]})
    with pytest.raises(DataError, match="line 1: conversations: role must be one of system, user, assistant, got None"):
        load(tmp_path, {"conversations": [{"value": "?"}]})


def test_thinking_beside_prompt_and_completion_is_the_completions(tmp_path: Path) -> None:
    row = {"prompt": "2+2?", "completion": "4", "reasoning": "2 and 2"}
    assert load(tmp_path, row)[0].messages == (Message("user", "2+2?"), Message("assistant", THOUGHT))
    for other in ({**row, "completion": [{"role": "assistant", "content": "4"}]}, {"messages": [USER], "thinking": "a"}):
        with pytest.raises(DataError, match=r"stands beside (completion|messages): give it as reasoning_content"):
            load(tmp_path, other)


@pytest.mark.parametrize("key", ["tools", "images", "chat_template_kwargs"])
def test_what_stands_beside_the_messages_for_the_model_to_read_is_refused(tmp_path: Path, key: str) -> None:
    row = {"messages": [USER, {"role": "assistant", "content": "4"}]}
    assert load(tmp_path, {**row, key: []})
    with pytest.raises(DataError, match=f"line 1: {key}: not given to the model's chat template"):
        load(tmp_path, {**row, key: [{"a": 1}]})


def test_two_system_prompts_and_rows_without_a_learnt_turn_are_refused(tmp_path: Path) -> None:
    row = {"messages": [{"role": "system", "content": "A"}, USER, {"role": "assistant", "content": "4"}], "system": "B"}
    with pytest.raises(DataError, match="two system prompts: 'B' and another one"):
        load(tmp_path, row)
    with pytest.raises(DataError, match="no turn is learnt: each of the assistant's has weight 0"):
        load(tmp_path, {"messages": [USER, {"role": "assistant", "content": "4", "weight": 0}]})


def test_parquet_gives_every_message_every_field_and_null_is_none_of_it(tmp_path: Path) -> None:
    rows = [{"messages": [USER, {"role": "assistant", "content": "4", "reasoning_content": "2 and 2", "tool_calls": None}]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (conversation,) = load_conversations(tmp_path / "rows.parquet")
    assert conversation.messages == (Message("user", "2+2?"), Message("assistant", THOUGHT))
