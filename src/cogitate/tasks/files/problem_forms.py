"""Rows of problems as TRL and verl write them, in the keys that `rows` reads.

| form | key | what it holds |
|---|---|---|
| both | `prompt` | a text, or a list of messages that ends with the user's |
| both | `ground_truth` | the answer; of a countdown {"numbers", "target"}; of code a JSON text {"inputs", "outputs"} |
| verl | `reward_model` | {"ground_truth": ...}; `data_source`, `ability` and `extra_info` are kept beside it |
| TRL | `solution` | where there is no answer: mathematics, or a text with the answer in a box or in `<answer>` |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cogitate.errors import DataError
from cogitate.json_lines import shown
from cogitate.rewards.answer import find_boxes
from cogitate.tasks.files.answers import answer_text, is_mathematics
from cogitate.tasks.files.messages import read_messages, refuse_unsupported
from cogitate.tokenizer.thinking import answer_blocks
from cogitate.types import Message

ANSWERS = ("answer", "ground_truth", "reward_model")  # where the answer may stand, the first of them first
NEED_NONE = ("tests", "test_list", "test", "choices", "options", "numbers", "nums", "instruction_id_list")


def with_answer(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with what is right under the keys that a problem of ours has: `answer`, or `numbers` and `target`, or `tests`.

    Raises:
        DataError: two places name different answers, or a form of answer is unknown.
    """
    if row.get("kind") == "custom":  # the user's own function reads what it likes
        return dict(row)
    found = {key: value for key in ANSWERS if (value := answer_of(row, key)) is not None}
    rest = {key: value for key, value in row.items() if key not in found}
    if not found:
        needed = not any(key in row for key in NEED_NONE)
        boxed = answer_in_solution(row.get("solution")) if needed else None
        if boxed is None and needed and row.get("kind") is None and isinstance(row.get("solution"), str):
            raise DataError("answer is missing, and solution has none: no box, no <answer>, not mathematics alone")
        return rest if boxed is None else {**rest, "answer": boxed}
    first, *others = found
    for key in others:
        if all(is_plain(found[one]) for one in (first, key)) and answer_text(found[first]) != answer_text(found[key]):
            both = f"{shown(found[first])} and {shown(found[key])}"
            raise DataError(f"{first} and {key} name different answers, {both}: keep one of them")
    return {**rest, **as_keys(found[first], first)}


def answer_of(row: Mapping[str, Any], key: str) -> Any:
    """What stands there; of a list of one answer that one. None where there is none."""
    value = row.get(key)
    if key == "reward_model":
        value = value.get("ground_truth") if isinstance(value, Mapping) else None
    return value[0] if key != "answer" and isinstance(value, list) and len(value) == 1 else value


def is_plain(answer: Any) -> bool:
    """A text or a number."""
    return isinstance(answer, str | int | float) and not isinstance(answer, bool)


def as_keys(answer: Any, key: str) -> dict[str, Any]:
    """An answer in our keys."""
    if key != "answer" and isinstance(answer, Mapping) and {"numbers", "target"} <= answer.keys():
        return {"numbers": list(answer["numbers"]), "target": answer["target"]}
    if key != "answer" and isinstance(answer, str) and answer.lstrip().startswith("{") and '"inputs"' in answer:
        return tests_of(answer, key)
    return {"answer": answer}


def tests_of(text: str, key: str) -> dict[str, Any]:
    """verl's tests of a program, a JSON text: pairs of input and output, of arguments and result where `fn_name` is given."""
    try:
        tests = json.loads(text)
        pairs = list(zip(tests["inputs"], tests["outputs"], strict=True))
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{key}: tests must be a JSON text of inputs and outputs, of one length: {error}") from error
    name = tests.get("fn_name")
    if name is None:
        return {"tests": [{"input": given, "output": expected} for given, expected in pairs]}
    return {"tests": [{"args": given, "expected": expected} for given, expected in pairs], "entry_point": name}


def answer_in_solution(solution: Any) -> str | None:
    """What a solution ends in: its last box, else its last <answer>, or all of it where it is mathematics; None without any."""
    if not isinstance(solution, str):
        return None
    marked = find_boxes(solution) or [block.strip() for block in answer_blocks(solution)]
    if marked:
        return marked[-1]
    return solution if is_mathematics(solution) else None


def prompt_turns(row: Mapping[str, Any], key: str) -> tuple[Message, ...]:
    """A prompt that is a list of messages.

    Raises:
        DataError: it does not end with the user's turn, or something in the row would not be shown to the model.
    """
    refuse_unsupported(row)
    messages = read_messages(row[key], key)
    if messages[-1].role != "user":
        raise DataError(f"{key} must end with the user's message: it is what is asked")
    return messages
