"""Preference files as they are published, beside TRL's format: pairs in which one side was found better.

| form | keys |
|---|---|
| TRL | `prompt`, `chosen`, `rejected` |
| dialogues (HH-RLHF) | `chosen`, `rejected`: texts of `Human:` and `Assistant:` turns that part in the last answer |
| two outputs and a choice (LLMBar) | `input`, `output_1`, `output_2`, `preferred` (1 or 2) |
| two outputs and votes (PandaLM) | `instruction`, `input`, `response1`, `response2`, `annotator1` ... (0 is a tie) |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cogitate.errors import DataError
from cogitate.json_lines import RowFaults, shown
from cogitate.tasks.files.datasets import data_file, read_labelled, read_preference, read_rows
from cogitate.types import LabelledCompletion, PreferencePair

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
            pairs += [] if pair is None else [pair]
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
                labels.append(read_labelled(row))
            elif (pair := read_pair(row)) is not None:
                labels += [
                    LabelledCompletion(pair.prompt, pair.chosen, True, pair.source),
                    LabelledCompletion(pair.prompt, pair.rejected, False, pair.source),
                ]
    faults.check()
    if not labels:
        raise DataError(f"{path}: no labelled completion in it")
    return labels


def read_pair(row: Mapping[str, Any]) -> PreferencePair | None:
    """One row of any of the forms; None for a tie."""
    if "prompt" in row:
        return read_preference(row)
    if "chosen" in row and "rejected" in row:
        return read_dialogues(row)
    for keys in OUTPUTS:
        if all(isinstance(row.get(key), str) for key in keys):
            return read_choice(row, row[keys[0]], row[keys[1]])
    raise DataError("needs prompt, chosen and rejected; or chosen and rejected dialogues; or two outputs and the preferred one")


def read_dialogues(row: Mapping[str, Any]) -> PreferencePair:
    """Whole dialogues: what both sides share, up to the assistant's turn in which they part, is the prompt."""
    chosen, rejected = row["chosen"], row["rejected"]
    if not (isinstance(chosen, str) and isinstance(rejected, str)):
        raise DataError("chosen and rejected without a prompt must be texts of Human: and Assistant: turns")
    sides = f"{chosen}{ASSISTANT}", f"{rejected}{ASSISTANT}"  # an empty answer begins where its text ends
    parting = next((i for i, (one, other) in enumerate(zip(*sides, strict=False)) if one != other), min(map(len, sides)))
    shared, found, _ = sides[0][:parting].rpartition(ASSISTANT)
    if not found or HUMAN not in shared:
        raise DataError(f"chosen and rejected share no {HUMAN.strip()} turn before an {ASSISTANT.strip()} turn")
    start = len(shared) + len(ASSISTANT)
    answers = [text[start:].partition(HUMAN)[0].partition(ASSISTANT)[0].strip() for text in (chosen, rejected)]
    return PreferencePair(prompt_of_dialogue(shared), answers[0], answers[1], str(row.get("source", "")))


def prompt_of_dialogue(text: str) -> str:
    """Earlier turns as the plain form of fine-tuned models has them, which puts `User:` before and `Assistant:` after them."""
    turns = text.strip().removeprefix(HUMAN.strip()).strip()
    return turns.replace(HUMAN, "\nUser:").replace(ASSISTANT, "\nAssistant:")


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
    return PreferencePair(question, chosen, rejected, str(row.get("subset", "")))
