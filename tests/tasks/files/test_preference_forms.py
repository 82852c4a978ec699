"""Preference files as they are published."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cogitate.errors import DataError
from cogitate.tasks.files.preference_forms import load_labels, load_pairs, read_pair
from cogitate.types import LabelledCompletion, Message, PreferencePair


def talk(*texts: str) -> tuple[Message, ...]:
    """The user begins, then each in turn."""
    return tuple(Message("assistant" if n % 2 else "user", text) for n, text in enumerate(texts))


def pair_of(prompt: str, chosen: str, rejected: str, source: str = "") -> PreferencePair:
    """A pair of single turns."""
    return PreferencePair(talk(prompt), (Message("assistant", chosen),), (Message("assistant", rejected),), source)


def label_of(prompt: str, completion: str, label: bool) -> LabelledCompletion:
    return LabelledCompletion(talk(prompt), (Message("assistant", completion),), label)


def test_trls_format() -> None:
    assert read_pair({"prompt": "Q", "chosen": "A", "rejected": "B"}) == pair_of("Q", "A", "B")


def test_dialogues_are_cut_where_they_part() -> None:
    start = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Who?\n\nAssistant:"
    pair = read_pair({"chosen": f"{start} Me.", "rejected": f"{start} Men.\n\nHuman: Oh"})
    assert pair == replace(pair_of("", "Me.", "Men."), prompt=talk("Hi", "Hello.", "Who?"))
    longer = "\n\nHuman: Hi\n\nAssistant: B\n\nHuman: C\n\nAssistant: D\n\nAssistant: E"
    early = read_pair({"chosen": "\n\nHuman: Hi\n\nAssistant: A", "rejected": longer})
    assert early == PreferencePair(talk("Hi"), talk("Hi", "A")[1:], talk("Hi", "B", "C", "D\n\nE")[1:])
    empty = read_pair({"chosen": "\n\nHuman: Hi\n\nAssistant: A", "rejected": "\n\nHuman: Hi\n\nAssistant:"})
    assert empty == pair_of("Hi", "A", "")
    with pytest.raises(DataError, match="share no Human: turn"):
        read_pair({"chosen": "\n\nHuman: Hi\n\nAssistant: A", "rejected": "\n\nHuman: Ho\n\nAssistant: A"})


def test_two_outputs_and_a_choice_or_votes() -> None:
    row = {"input": "Q", "output_1": "A", "output_2": "B", "subset": "Natural"}
    assert read_pair({**row, "preferred": 2}) == pair_of("Q", "B", "A", "Natural")
    votes = {"instruction": "Translate.", "input": "x", "response1": "A", "response2": "B", "annotator1": 1, "annotator2": 1}
    assert read_pair({**votes, "annotator3": 2}) == pair_of("Translate.\n\nx", "A", "B")
    assert read_pair({**votes, "annotator2": 2, "annotator3": 0}) is None
    with pytest.raises(DataError, match=r"must be 1, 2 or 0 for a tie; got \[3\]"):
        read_pair({**row, "preferred": 3})


def test_a_row_of_no_form_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "Q", "chosen": "A", "rejected": "B"}\n{"text": "?"}\n')
    with pytest.raises(DataError, match=r"mine\.jsonl, line 2: needs prompt, chosen and rejected; or"):
        load_pairs(path)
    tie = {"input": "Q", "output_1": "A", "output_2": "B", "preferred": 0}
    path.write_text(json.dumps(tie))
    with pytest.raises(DataError, match="no pair with a preference in it"):
        load_pairs(path)


@pytest.mark.skipif("COGITATE_DATA" not in os.environ, reason="COGITATE_DATA is not set: no real preference files")
@pytest.mark.parametrize(("name", "least"), [("hh_harmless_test", 391), ("llmbar", 219), ("pandalm_testset", 350)])
def test_real_files_are_read_whole(name: str, least: int) -> None:
    pairs, ties = load_pairs(Path(os.environ["COGITATE_DATA"]) / "preference" / f"{name}.jsonl")
    assert len(pairs) >= least
    assert len(pairs) + ties == {"hh_harmless_test": 391, "llmbar": 219, "pandalm_testset": 448}[name]
    assert all(pair.prompt[-1].content.strip() and pair.chosen != pair.rejected for pair in pairs)
    assert all(len(pair.chosen) == len(pair.rejected) == 1 for pair in pairs)
    assert all("\n\nAssistant:" not in turn.content for pair in pairs for turn in (*pair.prompt, *pair.chosen, *pair.rejected))


def test_of_pairs_the_better_answer_is_labelled_safe(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Q", "completion": "C", "label": False},
        {"prompt": "Q", "chosen": "A", "rejected": "B"},
        {"input": "I", "output_1": "one", "output_2": "two", "preferred": 2},
        {"instruction": "I", "response1": "one", "response2": "two", "annotator1": 0},
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert load_labels(tmp_path / "labels.jsonl") == [
        label_of("Q", "C", False),
        label_of("Q", "A", True),
        label_of("Q", "B", False),
        label_of("I", "two", True),
        label_of("I", "one", False),
    ]
    (tmp_path / "labels.jsonl").write_text(json.dumps({"prompt": "Q", "completion": "C", "label": "no"}))
    with pytest.raises(DataError, match=r"labels\.jsonl, line 1: label must be true or false"):
        load_labels(tmp_path / "labels.jsonl")
