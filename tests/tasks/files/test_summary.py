"""What is said of a data set before a run, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cogitate.tasks.files.jsonl import load_problems
from cogitate.tasks.files.summary import conversations_summary, labels_summary, pairs_summary, problems_summary

ASK, FOUR = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_problems_are_counted_by_kind_language_and_contract_with_three_examples_and_what_was_skipped(tmp_path: Path) -> None:
    sums = [{"question": f"{n}+1?", "answer": n + 1, "level": 1} for n in range(4)]
    path = written(tmp_path, *sums, sums[0], {"question": "法国的首都是哪里？", "answer": "巴黎"})
    assert problems_summary(path, load_problems(path)[1:], contract="r1", rest="held out") == [
        f"{path}: 6 rows, 4 problems; skipped: 1 (repeat an earlier row), 1 (held out)",
        "  kind: math 3, exact 1; language: en 3, zh 1; contract: r1 4",
        "  keys that no prompt shows: level 3",
        "  line 2: math, en: '1+1?' -> '2'",
        "  line 3: math, en: '2+1?' -> '3'",
        "  line 6: exact, zh: '法国的首都是哪里？' -> '巴黎'",
    ]


def test_of_conversations_it_says_which_turns_are_learnt_and_which_fields_are_not_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"messages": [{**ASK, "name": "Ann"}, {**FOUR, "reasoning": "2 and 2"}], "source": "me"},
        {"messages": [{"role": "system", "content": "Be brief."}, ASK, {**FOUR, "weight": 0}, ASK, FOUR]},
    )
    thought = repr("<think>\n2 and 2\n</think>\n\n4")
    assert conversations_summary(path) == [
        f"{path}: 2 rows, 2 conversations; skipped: 1 (turns of weight 0 or train false are read and not learnt)",
        "  turns that are learnt: 2, 1 of them with thinking; system prompts: 1; language: en 2",
        "  keys that are not learnt: source 1",
        "  fields of messages that are not read: name 1",
        f"  line 1: '2+2?' -> {thought}",
        "  line 2: '2+2?' -> '4'",
    ]


def test_of_pairs_and_labels_it_says_how_many_are_ties_and_have_turns(tmp_path: Path) -> None:
    long = {"prompt": [{"role": "system", "content": "S"}, ASK, FOUR, ASK], "chosen": "4", "rejected": "5"}
    tie = {"input": "Q", "output_1": "A", "output_2": "B", "preferred": 0}
    path = written(tmp_path, {"prompt": "2+2?", "chosen": "4", "rejected": "5"}, tie, long)
    assert pairs_summary(path) == [
        f"{path}: 3 rows, 2 pairs; skipped: 1 (ties)",
        "  prompts of several turns: 1; system prompts: 1; language: en 2",
        "  line 1: '2+2?' -> '4' rather than '5'",
        "  line 3: '2+2?' -> '4' rather than '5'",
    ]
    assert labels_summary(path) == [
        f"{path}: 3 rows, 4 labelled completions; skipped: 1 (ties)",
        "  prompts of several turns: 2; system prompts: 2; language: en 4; label: safe 2, unsafe 2",
        "  line 1: '2+2?' -> '4': safe",
        "  line 1: '2+2?' -> '5': unsafe",
        "  line 3: '2+2?' -> '4': safe",
    ]
