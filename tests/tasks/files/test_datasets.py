"""Data sets in TRL's formats, read from Parquet and JSON Lines alike; a wrong row is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cogitate.errors import DataError
from cogitate.tasks.files import datasets
from cogitate.tasks.files.datasets import load_conversations, load_labelled, load_preferences, read_rows, write_rows
from cogitate.types import Conversation, LabelledCompletion, Message, PreferencePair

MESSAGES = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "<think> easy </think>\n4"}]
HI, HELLO = Message("user", "Hi"), Message("assistant", "Hello!")
ENDINGS = [".jsonl", ".parquet"]


def written(folder: Path, ending: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"rows{ending}"
    write_rows(path, rows)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_conversations_come_back_as_they_were_written(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path, ending, [{"messages": MESSAGES, "task": "sums", "verdict": "right"}, {"messages": MESSAGES[:2]}])
    turns = (Message("user", "2 + 2?"), Message("assistant", "<think> easy </think>\n4"))
    assert load_conversations(path) == [Conversation(turns, {"task": "sums", "verdict": "right"}), Conversation(turns)]


@pytest.mark.parametrize("ending", ENDINGS)
def test_prompt_and_completion_are_a_conversation_as_texts_and_as_messages(tmp_path: Path, ending: str) -> None:
    turns = (Message("user", "2 + 2?"), Message("assistant", "4"))
    texts = written(tmp_path, ending, [{"prompt": "2 + 2?", "completion": "4"}])
    assert load_conversations(texts) == [Conversation(turns)]
    lists = written(tmp_path, ending, [{"prompt": MESSAGES[:1], "completion": [{"role": "assistant", "content": "4"}]}])
    assert load_conversations(lists) == [Conversation(turns)]


@pytest.mark.parametrize("ending", ENDINGS)
def test_preferences_and_labels_are_read(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path, ending, [{"prompt": "Hi", "chosen": "Hello!", "rejected": "What?", "margin": 0.5}])
    assert load_preferences(path) == [PreferencePair((HI,), (HELLO,), (Message("assistant", "What?"),))]
    path = written(tmp_path, ending, [{"prompt": "Hi", "completion": "Hello!", "label": True}])
    assert load_labelled(path) == [LabelledCompletion((HI,), (HELLO,), True)]


def test_an_artifact_directory_stands_for_its_data(tmp_path: Path) -> None:
    write_rows(tmp_path / "data.parquet", [{"messages": MESSAGES}])
    assert load_conversations(tmp_path)[0].messages[0].content == "2 + 2?"
    assert pq.read_table(tmp_path / "data.parquet").schema.field("messages").type == pa.list_(
        pa.struct([("role", pa.string()), ("content", pa.string())])
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "a"}, "line 2: needs messages, or prompt and completion"),
        ({"messages": []}, "line 2: messages must be a list of messages that is not empty"),
        ({"messages": MESSAGES[:1]}, "line 2: the last message must be the assistant's"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "messages: role must be one of system, user, assistant, got 'bot'"),
        ({"messages": [{"role": "user", "content": 3}]}, "line 2: messages: a message is"),
        ({"messages": "hi"}, "line 2: messages must be a list"),
        ([1], "line 2: a JSON object is needed"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: list[int] | dict[str, Any], message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": MESSAGES}) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"rows\.jsonl") as caught:
        load_conversations(path)
    assert message in str(caught.value)


def test_labels_must_be_true_or_false_and_pairs_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "a", "completion": "b", "label": 1}))
    with pytest.raises(DataError, match="label must be true or false, got 1"):
        load_labelled(path)
    path.write_text(json.dumps({"prompt": "a", "chosen": "b"}))
    with pytest.raises(DataError, match="rejected is missing"):
        load_preferences(path)


def test_rows_of_parquet_are_read_as_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"number": number} for number in range(5)]
    write_rows(tmp_path / "rows.parquet", rows)
    monkeypatch.setattr(datasets, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(pq, "read_table", lambda *arguments: pytest.fail("all rows were read at once"))
    found = read_rows(tmp_path / "rows.parquet")
    assert next(found) == (f"{tmp_path / 'rows.parquet'}, row 1", rows[0])
    assert [row for _, row in found] == rows[1:]


def test_a_file_that_is_no_parquet_or_has_no_row_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(read_rows(tmp_path / "rows.parquet"))
    (tmp_path / "rows.jsonl").write_text("\n")
    with pytest.raises(DataError, match="no row in it"):
        load_conversations(tmp_path / "rows.jsonl")
