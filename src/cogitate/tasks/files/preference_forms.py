"""Preference files as they are published, beside TRL's format: pairs in which one side was found better.

| form | keys |
|---|---|
| TRL | `prompt`, `chosen`, `rejected` |
| dialogues (HH-RLHF) | `chosen`, `rejected`: texts of `Human:` and `Assistant:` turns that begin alike |
| two outputs and a choice (LLMBar) | `input`, `output_1`, `output_2`, `preferred` (1 or 2) |
| two outputs and votes (PandaLM) | `instruction`, `input`, `response1`, `response2`, `annotator1` ... (0 is a tie) |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from cogitate.errors import DataError
from cogitate.json_lines import RowFaults, shown
from cogitate.tasks.files.datasets import data_file, read_rows
from cogitate.tasks.files.messages import with_system
from cogitate.tasks.files.pairs import SIDES, checked, part, read_labelled, read_preference, read_prompt
from cogitate.types import LabelledCompletion, Message, PreferencePair

HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
OUTPUTS = (("output_1", "output_2"), ("response1", "response2"))


def load_pairs(path: str | Path) -> tuple[list[PreferencePair], int]:
    """Every decided pair of a file, and how many were ties.

    Raises:
        DataError: the file cannot be read, a row is in none of the forms (file and row are named), or no pair is decided.
    """
    pairs, ties = [], 0
    faults = RowFaults(data_file(path))
    for place, row in read_rows(path, faults):
        with faults.at(place):
            pair = read_pair({key: value for key, value in row.items() if value is not None})
            ties += pair is None
            pairs += [] if pair is None else [replace(pair, place=place)]
    faults.check()
    if not pairs:
        raise DataError(f"{path}: no pair with a preference in it")
    return pairs, ties


def load_labels(path: str | Path) -> list[LabelledCompletion]:
    """Labelled completions; of a file of pairs (any form above) the better answer is labelled safe, the other unsafe.

    What is better is then taken for safe: right where harmlessness was judged, and noisy where both answers are alike.

    Raises: as load_pairs.
    """
    labels: list[LabelledCompletion] = []
    faults = RowFaults(data_file(path))
    for place, row in read_rows(path, faults):
        row = {key: value for key, value in row.items() if value is not None}
        with faults.at(place):
            if "label" in row or "completion" in row:
                labels.append(replace(read_labelled(row), place=place))
            elif (pair := read_pair(row)) is not None:
                labels += [
                    LabelledCompletion(pair.prompt, pair.chosen, True, pair.source, place),
                    LabelledCompletion(pair.prompt, pair.rejected, False, pair.source, place),
                ]
    faults.check()
    if not labels:
        raise DataError(f"{path}: no labelled completion in it")
    return labels


def read_pair(row: Mapping[str, Any]) -> PreferencePair | None:
    """One row of any of the forms; None for a tie."""
    sides = [row.get(side) for side in SIDES]
    if all(isinstance(side, str) and HUMAN.strip() in side for side in sides) and not read_prompt(row):
        return read_dialogues(row)
    if "prompt" in row or None not in sides:
        return read_preference(row)
    for keys in OUTPUTS:
        if all(isinstance(row.get(key), str) for key in keys):
            return read_choice(row, row[keys[0]], row[keys[1]])
    raise DataError("needs prompt, chosen and rejected; or chosen and rejected dialogues; or two outputs and the preferred one")


def read_dialogues(row: Mapping[str, Any]) -> PreferencePair:
    """Whole dialogues: what both sides share, up to the last turn of the human's in it, is the prompt."""
    try:
        prompt, chosen, rejected = part(*(turns_of_dialogue(row[side]) for side in SIDES))
    except DataError as error:
        raise DataError(f"chosen and rejected share no {HUMAN.strip()} turn before an {ASSISTANT.strip()} turn") from error
    return checked(PreferencePair(with_system(row, prompt), chosen, rejected, str(row.get("source", ""))))


def turns_of_dialogue(text: str) -> tuple[Message, ...]:
    """The turns of a text; two turns in a row of one side are one. A human's turn that nothing answers is left out."""
    _, *pieces = re.split(r"(?:\A|\n\n)(Human|Assistant):", text)
    turns: list[Message] = []
    for speaker, said in zip(pieces[::2], pieces[1::2], strict=True):
        role: Literal["user", "assistant"] = "user" if speaker == "Human" else "assistant"
        earlier = turns.pop().content + "\n\n" if turns and turns[-1].role == role else ""
        turns.append(Message(role, earlier + said.strip()))
    return tuple(turns[:-1] if turns and turns[-1].role == "user" else turns)


def read_choice(row: Mapping[str, Any], first: str, second: str) -> PreferencePair | None:
    """Two outputs and one choice, or the majority of votes; None where neither has more."""
    question = "\n\n".join(str(row[key]) for key in ("instruction", "input") if row.get(key))
    if not question:
        raise DataError("needs instruction or input: what was asked")
    votes = [row["preferred"]] if "preferred" in row else [row[key] for key in sorted(row) if key.startswith("annotator")]
    if not votes or any(vote not in (0, 1, 2) for vote in votes):
        raise DataError(f"preferred, or each annotator, must be 1, 2 or 0 for a tie; got {shown(votes)}")
    lead = votes.count(1) - votes.count(2)
    if lead == 0:
        return None
    chosen, rejected = (first, second) if lead > 0 else (second, first)
    prompt = with_system(row, (Message("user", question),))
    better, worse = ((Message("assistant", side),) for side in (chosen, rejected))
    return PreferencePair(prompt, better, worse, str(row.get("subset", "")))
