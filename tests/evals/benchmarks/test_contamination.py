"""Overlap with training data, by hand: 13 words, a whole shorter question, a very short one only as itself."""

from __future__ import annotations

import json
from pathlib import Path

from cogitate.evals.benchmarks.contamination import TrainingText, contamination, overlapping
from cogitate.types import Problem

WORDS = [f"word{number}" for number in range(40)]


def problem(name: str, question: str) -> Problem:
    return Problem(id=name, task="t", kind="math", question=question, gold="1")


def training(tmp_path: Path, *texts: str) -> TrainingText:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps({"messages": [{"role": "user", "content": text}]}) + "\n" for text in texts))
    return TrainingText((path,), ("logic",))


def test_thirteen_words_in_a_row_overlap_and_twelve_do_not(tmp_path: Path) -> None:
    long = problem("long", " ".join(WORDS[:20]))
    assert overlapping([long], training(tmp_path, f"Before. {' '.join(WORDS[4:17]).upper()}! After")) != {}
    assert overlapping([long], training(tmp_path, f"Before {' '.join(WORDS[4:16])} after")) == {}


def test_a_shorter_question_overlaps_as_a_whole_and_a_very_short_one_only_by_itself(tmp_path: Path) -> None:
    short, tiny = problem("short", "What is one plus two, Ada?"), problem("tiny", "1 + 2?")
    assert set(overlapping([short, tiny], training(tmp_path, "Well: what is one plus two ada and 1 + 2? more"))) == {"short"}
    assert set(overlapping([short, tiny], training(tmp_path, " 1  + 2? ", "What is one plus two"))) == {"tiny"}


def test_words_that_several_problems_share_or_that_we_add_show_nothing(tmp_path: Path) -> None:
    form, ours = " ".join(WORDS[:15]), " ".join(f"ours{number}" for number in range(14))
    one, two = problem("1", f"{form} one {' '.join(WORDS[20:40])} {ours}"), problem("2", f"{form} two")
    assert overlapping([one, two], training(tmp_path, form, ours), (ours,)) == {}
    assert set(overlapping([one, two], training(tmp_path, " ".join(WORDS[20:34])), (ours,))) == {"1"}
    same = [problem("3", form), problem("4", form)]  # with no words of their own they overlap as a whole
    assert set(overlapping(same, training(tmp_path, f"before {form} after"))) == {"3", "4"}
    assert overlapping(same, training(tmp_path, " ".join(WORDS[:14]))) == {}


def test_the_figure_without_overlapping_problems_stands_beside_the_count(tmp_path: Path) -> None:
    one, two = problem("1", " ".join(WORDS[:13])), problem("2", " ".join(WORDS[20:35]))
    values = {("t", each.id, each.question): [value] for each, value in ((one, 1.0), (two, 0.0))}
    found = contamination([one, two], training(tmp_path, " ".join(WORDS[:20])), values)
    assert (found["overlapping"], found["problems"], found["value_without"]["value"]) == (1, 2, 0.0)
    assert found["first"].endswith("train.jsonl, line 1")
    assert (found["files"], found["not_compared"]) == (["train.jsonl"], ["logic"])
    both = contamination([one], training(tmp_path, " ".join(WORDS[:20])), values)
    assert both["value_without"] is None
