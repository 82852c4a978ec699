"""Preferences and labelled completions of several turns: every turn and the system prompt are kept, or the row is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.tasks.files.datasets import load_labelled, load_preferences, write_rows
from cogitate.tasks.files.pairs import as_values, read_labelled, read_preference
from cogitate.types import LabelledCompletion, Message, PreferencePair

SYSTEM = {"role": "system", "content": "In French."}
ASK, MORE = {"role": "user", "content": "2+2?"}, {"role": "user", "content": "Add 3."}
FOUR, SEVEN, EIGHT = ({"role": "assistant", "content": text} for text in ("4", "7", "8"))


def turns(*messages: dict[str, Any]) -> tuple[Message, ...]:
    return tuple(Message(**message) for message in messages)


@pytest.mark.parametrize(
    ("row", "prompt", "chosen", "rejected"),
    [
        (
            {"prompt": [SYSTEM, ASK, FOUR, MORE], "chosen": [SEVEN], "rejected": [EIGHT]},
            [SYSTEM, ASK, FOUR, MORE],
            [SEVEN],
            [EIGHT],
        ),
        ({"prompt": [SYSTEM, ASK], "chosen": "7", "rejected": "8"}, [SYSTEM, ASK], [SEVEN], [EIGHT]),
        (
            {"prompt": [ASK], "chosen": [FOUR, MORE, SEVEN], "rejected": [EIGHT, MORE, EIGHT]},
            [ASK],
            [FOUR, MORE, SEVEN],
            [EIGHT, MORE, EIGHT],
        ),
        ({"chosen": [SYSTEM, ASK, SEVEN], "rejected": [SYSTEM, ASK, EIGHT]}, [SYSTEM, ASK], [SEVEN], [EIGHT]),
        ({"chosen": [ASK, FOUR, MORE, SEVEN], "rejected": [ASK, FOUR, MORE, EIGHT]}, [ASK, FOUR, MORE], [SEVEN], [EIGHT]),
        ({"chosen": [ASK, FOUR, MORE, SEVEN], "rejected": [ASK, EIGHT]}, [ASK], [FOUR, MORE, SEVEN], [EIGHT]),
        ({"chosen": [ASK, SEVEN], "rejected": [ASK, SEVEN]}, [ASK], [SEVEN], [SEVEN]),
        ({"prompt": "2+2?", "chosen": [ASK, SEVEN], "rejected": [ASK, EIGHT]}, [ASK], [SEVEN], [EIGHT]),
        ({"prompt": "2+2?", "chosen": [SYSTEM, ASK, SEVEN], "rejected": [SYSTEM, ASK, EIGHT]}, [SYSTEM, ASK], [SEVEN], [EIGHT]),
        ({"prompt": [SYSTEM, ASK], "chosen": [ASK, SEVEN], "rejected": [ASK, EIGHT]}, [SYSTEM, ASK], [SEVEN], [EIGHT]),
        (
            {"prompt": "2+2?", "chosen": [ASK, FOUR, MORE, SEVEN], "rejected": [ASK, FOUR, MORE, EIGHT]},
            [ASK, FOUR, MORE],
            [SEVEN],
            [EIGHT],
        ),
        ({"system": "In French.", "question": "2+2?", "chosen": "7", "rejected": "8"}, [SYSTEM, ASK], [SEVEN], [EIGHT]),
        (
            {"chosen": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "7"}], "rejected": [ASK, EIGHT]},
            [ASK],
            [SEVEN],
            [EIGHT],
        ),
    ],
)
def test_every_turn_and_the_system_prompt_of_a_pair_are_kept(
    row: dict[str, Any], prompt: list[dict[str, Any]], chosen: list[dict[str, Any]], rejected: list[dict[str, Any]]
) -> None:
    assert read_preference(row) == PreferencePair(turns(*prompt), turns(*chosen), turns(*rejected))


def test_the_thinking_of_a_side_is_kept() -> None:
    pair = read_preference({"prompt": [ASK], "chosen": [{**FOUR, "reasoning_content": "2 and 2"}], "rejected": [EIGHT]})
    assert pair.chosen[0].content == "<think>\n2 and 2\n</think>\n\n4"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"prompt": "2+2?", "chosen": [MORE, SEVEN], "rejected": [MORE, EIGHT]},
            "begin with a user's turn, and not with the prompt",
        ),
        ({"prompt": [ASK, FOUR, MORE], "chosen": [ASK, SEVEN], "rejected": [ASK, EIGHT]}, "and not with the prompt"),
        ({"prompt": "2+2?", "chosen": [ASK, SEVEN], "rejected": [EIGHT]}, "one of chosen and rejected begins with the prompt"),
        ({"chosen": [ASK, SEVEN], "rejected": [MORE, EIGHT]}, "share no turn of the user's"),
        ({"chosen": [SEVEN], "rejected": [EIGHT]}, "prompt is missing"),
        ({"chosen": "7", "rejected": "8"}, "prompt is missing"),
        (
            {"prompt": [ASK, FOUR], "chosen": [SEVEN], "rejected": [EIGHT]},
            "prompt must end with a turn of the user's, and ends with",
        ),
        ({"prompt": [ASK], "chosen": [SEVEN, MORE], "rejected": [EIGHT]}, "chosen must end with a turn of the assistant's"),
        (
            {"prompt": [ASK], "chosen": [SEVEN], "rejected": [{"role": "tool", "content": "8"}]},
            "rejected: role tool: calls of tools",
        ),
        ({"prompt": [ASK], "chosen": [SEVEN], "rejected": [EIGHT], "tools": [{"name": "add"}]}, "tools: not given"),
        ({"prompt": "2+2?", "chosen": "7", "rejected": "8", "reasoning": "2 and 2"}, "reasoning stands beside the completions"),
        ({"prompt": [SYSTEM, ASK], "system": "In German.", "chosen": "7", "rejected": "8"}, "two system prompts"),
    ],
)
def test_what_would_be_lost_or_is_unclear_is_refused(row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_preference(row)


def test_labelled_rows_keep_every_turn() -> None:
    wanted = LabelledCompletion(turns(SYSTEM, ASK, FOUR, MORE), turns(SEVEN), True)
    assert read_labelled({"prompt": [SYSTEM, ASK, FOUR, MORE], "completion": [SEVEN], "label": True}) == wanted
    assert read_labelled({"messages": [SYSTEM, ASK, FOUR, MORE, SEVEN], "label": True}) == wanted
    assert read_labelled({"prompt": [ASK], "completion": [FOUR, MORE, SEVEN], "label": False}).completion == turns(
        FOUR, MORE, SEVEN
    )
    with pytest.raises(DataError, match="completion must begin with a turn of the assistant's"):
        read_labelled({"prompt": [ASK], "completion": [MORE, SEVEN], "label": True})


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_pairs_of_one_turn_and_of_several_come_back_as_they_were_written(tmp_path: Path, ending: str) -> None:
    pairs = [
        PreferencePair(turns(SYSTEM, ASK), turns(SEVEN), turns(EIGHT)),
        PreferencePair(turns(MORE), turns(FOUR, MORE, SEVEN), turns(EIGHT)),
    ]
    columns = {key: as_values([getattr(pair, key) for pair in pairs]) for key in ("prompt", "chosen", "rejected")}
    assert columns["rejected"] == ["8", "8"]
    path = tmp_path / f"pairs{ending}"
    write_rows(path, [{key: column[i] for key, column in columns.items()} for i in range(2)])
    assert load_preferences(path) == pairs
    write_rows(path, [{"prompt": columns["prompt"][0], "completion": "7", "label": True}])
    assert load_labelled(path)[0].prompt == turns(SYSTEM, ASK)
