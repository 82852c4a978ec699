"""Rows of preferences and of labelled completions in TRL's formats. Every turn is kept, and the system prompt.

The prompt may be a text or a list of messages. `chosen` and `rejected` may be texts, lists of the assistant's messages, or
whole conversations that begin with the prompt; without a prompt beside them they are whole conversations, and what both share,
up to the last turn of the user's in it, is the prompt (TRL's implicit prompt).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cogitate.errors import DataError
from cogitate.json_lines import shown
from cogitate.tasks.files.messages import CONVERSATIONS, THINKING, read_messages, refuse_unsupported, turns, with_system
from cogitate.types import LabelledCompletion, Message, PreferencePair

Turns = tuple[Message, ...]
SIDES = ("chosen", "rejected")
PROMPTS = ("prompt", "question", "instruction")


def read_preference(row: Mapping[str, Any]) -> PreferencePair:
    """One pair. Raises DataError, as the others here, for what is missing, wrong or would be lost."""
    refuse_unsupported(row)
    refuse_thinking(row)
    chosen, rejected = (turns(needed(row, side), side, "assistant") for side in SIDES)
    whole = [side[0].role != "assistant" for side in (chosen, rejected)]
    if whole[0] != whole[1]:
        raise DataError("one of chosen and rejected begins with the prompt and the other does not: give both in one form")
    prompt = read_prompt(row)
    if whole[0]:
        asked, chosen, rejected = part(chosen, rejected)
        check_begins_with(asked, prompt)
        prompt = asked if not prompt or asked[0].role == "system" or prompt[0].role != "system" else (prompt[0], *asked)
    if not prompt:
        raise DataError("prompt is missing")
    return checked(PreferencePair(with_system(row, prompt), chosen, rejected, str(row.get("source", ""))))


def read_labelled(row: Mapping[str, Any]) -> LabelledCompletion:
    """One labelled completion: `prompt` and `completion`, or a conversation whose last turn is labelled."""
    refuse_unsupported(row)
    refuse_thinking(row)
    if not isinstance(row.get("label"), bool):
        raise DataError(f"label must be true or false, got {shown(row.get('label'))}")
    key = next((key for key in CONVERSATIONS if key in row and "completion" not in row), None)
    if key is not None:
        messages = read_messages(row[key], key)
        prompt, completion = messages[:-1], messages[-1:]
    else:
        prompt, completion = read_prompt(row), turns(needed(row, "completion"), "completion", "assistant")
    if not prompt:
        raise DataError("prompt is missing")
    check_turns(prompt, "prompt", "user")
    check_turns(completion, "completion", "assistant")
    return LabelledCompletion(with_system(row, prompt), completion, row["label"], str(row.get("source", "")))


def read_prompt(row: Mapping[str, Any]) -> Turns:
    """The prompt that stands in the row by itself; empty where none does."""
    key = next((key for key in PROMPTS if key in row), None)
    return () if key is None else turns(row[key], key, "user")


def part(chosen: Turns, rejected: Turns) -> tuple[Turns, Turns, Turns]:
    """(prompt, chosen, rejected) of two whole conversations. Raises DataError where they share no turn of the user's."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) and said_alike(chosen[shared], rejected[shared]):
        shared += 1
    while shared and chosen[shared - 1].role != "user":
        shared -= 1
    if not shared:
        raise DataError("chosen and rejected share no turn of the user's at their beginning")
    return chosen[:shared], chosen[shared:], rejected[shared:]


def check_begins_with(conversation: Turns, prompt: Turns) -> None:
    """Raises DataError where whole conversations do not begin with the prompt beside them, system prompts aside."""
    begun, asked = ([turn for turn in side if turn.role != "system"] for side in (conversation, prompt))
    systems = {turn.content for side in (conversation, prompt) for turn in side[:1] if turn.role == "system"}
    if len(systems) > 1 or not all(map(said_alike, begun, asked)) or len(asked) > len(begun):
        raise DataError("chosen and rejected begin with a user's turn, and not with the prompt: one of the two would be lost")


def checked(pair: PreferencePair) -> PreferencePair:
    check_turns(pair.prompt, "prompt", "user")
    check_turns(pair.chosen, "chosen", "assistant")
    check_turns(pair.rejected, "rejected", "assistant")
    return pair


def check_turns(side: Turns, key: str, last: str) -> None:
    """Raises DataError where a prompt does not end with the user's turn, or a completion is not the assistant's."""
    if not side or side[-1].role != last:
        raise DataError(f"{key} must end with a turn of the {last}'s, and ends with {side[-1].role if side else 'none'}")
    if last == "assistant" and side[0].role != "assistant":
        raise DataError(f"{key} must begin with a turn of the assistant's: earlier turns belong to the prompt")


def said_alike(one: Message, other: Message) -> bool:
    return (one.role, one.content) == (other.role, other.content)


def refuse_thinking(row: Mapping[str, Any]) -> None:
    """Raises DataError for thinking beside the completions: whose it is is unclear, and it would be lost."""
    for name in THINKING:
        if isinstance(row.get(name), str | list) and row[name]:
            raise DataError(f"{name} stands beside the completions: give it as {THINKING[0]} of a message, or remove it")


def needed(row: Mapping[str, Any], key: str) -> Any:
    if key not in row:
        raise DataError(f"{key} is missing")
    return row[key]


def as_values(sides: Sequence[Turns]) -> list[Any]:
    """Turns as a column of a data set: texts where each is a single turn, else lists of messages, which readers take alike."""
    if all(len(side) == 1 for side in sides):
        return [side[0].content for side in sides]
    return [[{"role": turn.role, "content": turn.content} for turn in side] for side in sides]
