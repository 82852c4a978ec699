"""Data sets in and out: Parquet or JSON Lines in TRL's formats, so that a user can leave or enter the recipe anywhere.

| format | keys |
|---|---|
| conversations | `messages`: [{"role", "content"}, ...], or ShareGPT's `conversations`: [{"from", "value"}, ...] |
| the same | `prompt` and `completion` (texts, or lists of messages) |
| preferences | `prompt`, `chosen`, `rejected` (texts, or lists of messages); the prompt may stand in the lists alone |
| labelled | `prompt`, `completion` (texts, or lists of messages), `label` (true or false) |
| stepwise | `prompt`, `completions`, `labels` (lists of one length) |

What a message may hold: `messages`. A text `system` or `system_prompt` beside them is the system prompt. Other keys of a row
are kept with a conversation and ignored elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from cogitate.errors import DataError
from cogitate.json_lines import RowFaults, read_objects
from cogitate.runtime import atomic_write
from cogitate.tasks.files.messages import (
    CONVERSATIONS,
    SYSTEM,
    THINKING,
    read_messages,
    read_thinking,
    refuse_unsupported,
    turns,
    with_system,
    with_thinking,
)
from cogitate.tasks.files.pairs import read_labelled, read_preference
from cogitate.types import Conversation, LabelledCompletion, PreferencePair

ROWS_AT_ONCE = 256  # of a Parquet file in memory

Record = TypeVar("Record", Conversation, PreferencePair, LabelledCompletion)


def load_conversations(path: str | Path) -> list[Conversation]:
    """Every conversation of a file, or of the `data.parquet` of an artifact directory.

    Raises:
        DataError: the file cannot be read or is empty, or a row is wrong: names file and row.
    """
    return list(each_conversation(path))


def each_conversation(path: str | Path) -> Iterator[Conversation]:
    """The same, one by one: only a part of the file is in memory. What is wrong is raised when all have been read."""
    return each(path, read_conversation)


def load_preferences(path: str | Path) -> list[PreferencePair]:
    """Every pair of a file. Raises as load_conversations."""
    return load(path, read_preference)


def load_labelled(path: str | Path) -> list[LabelledCompletion]:
    """Every labelled completion of a file. Raises as load_conversations."""
    return load(path, read_labelled)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows as Parquet or, where the name ends in .jsonl, JSON Lines; the file appears whole or not at all.

    Parquet gives every row the keys of all rows; what a row lacks is null there.
    """
    rows = list(rows)
    with atomic_write(path) as temporary:
        if path.suffix == ".jsonl":
            with temporary.open("w", encoding="utf-8") as handle:
                handle.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            import pyarrow as pa  # here and below: a run without such files need not wait for it
            import pyarrow.parquet as pq

            keys = dict.fromkeys(key for row in rows for key in row)
            table = pa.table({key: [row.get(key) for row in rows] for key in keys})
            pq.write_table(table, temporary)


def read_rows(path: str | Path, faults: RowFaults | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of every row of a .parquet or .jsonl file or of an artifact directory; `place` is for messages. They are
    read as they are asked for: a file may be larger than the memory.

    Args:
        faults: gets the lines that are no JSON object; without it they are an error, after the last row.

    Raises:
        DataError: it cannot be read.
    """
    path = data_file(path)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        number = 0
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE):
                    for row in batch.to_pylist():
                        number += 1
                        yield f"{path}, row {number}", row
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: cannot be read as Parquet: {error}") from error
        return
    found = RowFaults(path) if faults is None else faults
    yield from read_objects(path, found)
    if faults is None:
        found.check()


def data_file(path: str | Path) -> Path:
    """The file itself, or the one that holds the data of an artifact directory."""
    path = Path(path)
    return path / "data.parquet" if path.is_dir() else path


def load(path: str | Path, read: Callable[[Mapping[str, Any]], Record]) -> list[Record]:
    """Every row as a record."""
    return list(each(path, read))


def each(path: str | Path, read: Callable[[Mapping[str, Any]], Record]) -> Iterator[Record]:
    """Every row as a record, one by one."""
    faults, any_row = RowFaults(data_file(path)), False
    for place, row in read_rows(path, faults):
        record = None
        with faults.at(place):
            record = replace(read({key: value for key, value in row.items() if value is not None}), place=place)
        if record is not None:
            any_row = True
            yield record
    faults.check()
    if not any_row:
        raise DataError(f"{path}: no row in it")


def read_conversation(row: Mapping[str, Any]) -> Conversation:
    """One row of the conversational, or of the prompt and completion, format."""
    refuse_unsupported(row)
    key = next((key for key in CONVERSATIONS if key in row), None)
    read: tuple[str, ...] = ("prompt", "completion", *THINKING) if key is None else (key,)
    if key is not None:
        messages = read_messages(row[key], key)
        refuse_thinking_beside(row, key)
    elif "prompt" in row and "completion" in row:
        thinking = read_thinking(row)
        completion = row["completion"]
        if thinking and not isinstance(completion, str):
            refuse_thinking_beside(row, "completion")
        said = with_thinking(thinking, completion) if thinking else completion
        messages = (*turns(row["prompt"], "prompt", "user"), *turns(said, "completion", "assistant"))
    else:
        raise DataError("needs messages, or prompt and completion, or conversations")
    messages = with_system(row, messages)
    if messages[-1].role != "assistant":
        raise DataError("the last message must be the assistant's: it is what is learnt")
    if not any(message.learn for message in messages if message.role == "assistant"):
        raise DataError("no turn is learnt: each of the assistant's has weight 0 or train false; remove the row")
    return Conversation(messages, {name: value for name, value in row.items() if name not in (*read, *SYSTEM)})


def refuse_thinking_beside(row: Mapping[str, Any], key: str) -> None:
    """Raises DataError for thinking that stands beside a list of messages: whose it is is unclear, and it would be lost."""
    for name in THINKING:
        if isinstance(row.get(name), str | list) and row[name]:
            raise DataError(f"{name} stands beside {key}: give it as {THINKING[0]} of the assistant's message, or remove it")
