"""What becomes an item: candidates with their problems, conversations, pairs, labelled completions."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cogitate.apps.studio import directory
from cogitate.apps.studio.sources import read_source
from cogitate.errors import DataError
from tests.apps.studio.items import candidate, run_beside, write

SYSTEM = {"role": "system", "content": "Be brief."}
TURNS = [{"role": "user", "content": "What is 1 + 4?"}, {"role": "assistant", "content": "<think> 5 </think>\nIt is 5."}]


def test_candidates_of_an_artifact_get_their_problems_from_the_settings_of_the_run(tmp_path: Path) -> None:
    problem, row = run_beside(tmp_path)
    (tmp_path / "cold_start").mkdir()
    path = write(tmp_path / "cold_start" / "items.jsonl", [row])
    for source in (tmp_path / "cold_start", path):
        item = read_source(source, "review")[0]
        assert (item["kind"], item["gold"]) == (problem.kind, problem.gold)
        assert item["text"] == row["text"]
    write(path, [{**row, "problem_id": "another"}])
    with pytest.raises(DataError, match=r"line 1: problem 'another' of arithmetic is no training problem of the run"):
        read_source(path, "review")


def test_a_candidate_without_a_task_beside_the_settings_of_a_run_is_named(tmp_path: Path) -> None:
    _, row = run_beside(tmp_path)
    (tmp_path / "cold_start").mkdir()
    del row["task"]
    with pytest.raises(DataError, match=r"line 1: problem .* of None is no training problem"):
        read_source(write(tmp_path / "cold_start" / "items.jsonl", [row]), "review")


def test_numbers_of_foreign_rows_become_texts_and_a_turn_that_is_only_read_stays_so(tmp_path: Path) -> None:
    (item,) = read_source(write(tmp_path / "items.jsonl", [candidate(1, extracted=56, problem_id=7)]), "review")
    assert (item["extracted"], item["problem_id"]) == ("56", "7")
    turns = [*TURNS, TURNS[0], {**TURNS[1], "weight": 0}]
    (item,) = read_source(write(tmp_path / "chats.jsonl", [{"messages": turns}]), "review")
    assert item["learn"] is False


@pytest.mark.parametrize(
    ("value", "why"), [(datetime(2026, 1, 1), "day = datetime"), (b"x", "day = b'x'"), (float("nan"), "day = nan")]
)  # fmt: skip
def test_values_of_parquet_that_are_no_json_are_named_before_a_studio_is_made(tmp_path: Path, value: Any, why: str) -> None:
    row = {"prompt": "What is 1 + 1?", "completion": "2", "kind": "math", "gold": "2", "day": value}
    pq.write_table(pa.table({key: [one] for key, one in row.items()}), tmp_path / "chats.parquet")
    with pytest.raises(DataError, match=rf"row 1: {why}.* cannot be kept as JSON"):
        directory.create(tmp_path / "chats.parquet", tmp_path / "chats-studio", "review", 0)
    assert not (tmp_path / "chats-studio").exists()


def test_completions_of_several_turns_are_refused_since_an_item_is_one_text(tmp_path: Path) -> None:
    turns = [
        {"role": "assistant", "content": "Roses"},
        {"role": "user", "content": "More."},
        {"role": "assistant", "content": "red"},
    ]
    pairs = write(tmp_path / "pairs.jsonl", [{"prompt": "A poem.", "chosen": turns, "rejected": "No."}])
    with pytest.raises(DataError, match="line 1: chosen has 3 turns, and an item is one text"):
        read_source(pairs, "pairs")
    labels = write(tmp_path / "labels.jsonl", [{"prompt": "A poem.", "completion": turns, "label": True}])
    with pytest.raises(DataError, match="line 1: completion has 3 turns"):
        read_source(labels, "safety")


def test_conversations_are_read_by_their_last_turn_and_graded_where_a_row_says_how(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"messages": [SYSTEM, *TURNS], "id": "mine", "kind": "math", "gold": "5", "source": "web"},
        {"prompt": "Hello?", "completion": "Hello."},
        {"prompt": "Hello?", "completion": "Hello."},
    ]
    items = read_source(write(tmp_path / "chats.jsonl", rows), "review")
    assert items[0]["id"] == "mine"
    assert (items[0]["question"], items[0]["text"], items[0]["source"]) == ("What is 1 + 4?", TURNS[1]["content"], "web")
    assert [turn["content"] for turn in items[0]["turns"]] == ["Be brief."]
    assert (items[0]["kind"], items[0]["gold"]) == ("math", "5")
    assert "kind" not in items[1]
    assert read_source(write(tmp_path / "chats.jsonl", [{**rows[1], "id": 17, "source": 3}]), "review")[0]["id"] == "17"
    assert items[1]["id"] != items[2]["id"]


def test_pairs_come_from_preferences_or_from_candidates_of_one_problem(tmp_path: Path) -> None:
    rows = [{"prompt": "A poem.", "chosen": "Roses", "rejected": "No.", "source": "judge"}]
    item = read_source(write(tmp_path / "pairs.jsonl", rows), "pairs")[0]
    assert (item["question"], item["a"], item["b"], item["source"]) == ("A poem.", "Roses", "No.", "judge")
    assert read_source(write(tmp_path / "pairs.jsonl", [{**rows[0], "id": "mine"}]), "pairs")[0]["id"] == "mine"
    candidates = [candidate(2), candidate(3), candidate(4), candidate(5, text=candidate(4)["text"], completion="x")]
    said: list[str] = []
    pairs = read_source(write(tmp_path / "items.jsonl", candidates), "pairs", said.append)
    assert said == [f"{tmp_path}/items.jsonl: 2 of 4 candidates are in no pair: no other text of their problem is left"]
    assert [(pair["id"], pair["a"]) for pair in pairs] == [("direct-0002+direct-0003", candidate(2)["text"])]


def test_labelled_completions_are_read_without_their_label(tmp_path: Path) -> None:
    rows = [{"prompt": "Hi", "completion": "Go away.", "label": False, "id": "mine"}]
    item = read_source(write(tmp_path / "labels.jsonl", rows), "safety")[0]
    assert (item["id"], item["question"], item["text"]) == ("mine", "Hi", "Go away.")
    assert "label" not in item


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no row in it"),
        ([candidate(1, id="x" * 501)], "has over 500 characters"),
        ([candidate(1), candidate(1)], "two items have the id 'direct-0001'"),
        ([candidate(1), {"id": "x"}], "line 2: no item: the key 'completion' is missing"),
        ([{**candidate(1), "kind": "dance"}], "kind 'dance' is unknown"),
        ([{"prompt": "x"}], "needs messages, or prompt and completion"),
        ([candidate(1, id=None)], "line 1: id must be a text, got None"),
        ([candidate(1, id=["x"])], r"line 1: id must be a text or an integer, got \['x'\]"),
        ([candidate(1, question=3)], "line 1: question must be a text, got 3"),
        ([candidate(1, completion=None)], "line 1: completion must be a text, got None"),
        ([candidate(1, faults=3)], "line 1: faults must be a list of texts, got 3"),
        ([candidate(1, extracted=["5"])], r"line 1: extracted must be a text, got \['5'\]"),
        ([candidate(1, tokens="12")], "line 1: tokens must be an integer, got '12'"),
        ([candidate(1, kind=["math"])], r"line 1: kind must be a text, got \['math'\]"),
        ([{"prompt": "x", "completion": "y", "source": {"a": 1}}], "line 1: source must be a text, got {'a': 1}"),
    ],
)
def test_rows_that_are_no_items_are_named(tmp_path: Path, rows: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(DataError, match=why):
        read_source(write(tmp_path / "items.jsonl", rows), "review")
