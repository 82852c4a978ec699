"""What becomes an item: candidates with their problems, conversations, pairs, labelled completions."""

import json
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.studio.sources import read_source
from cogitate.errors import DataError
from cogitate.recipe.problems import training_problems
from cogitate.recipe.settings import load_recipe
from tests.apps.studio.items import candidate, write

SYSTEM = {"role": "system", "content": "Be brief."}
TURNS = [{"role": "user", "content": "What is 1 + 4?"}, {"role": "assistant", "content": "<think> 5 </think>\nIt is 5."}]


def test_candidates_of_an_artifact_get_their_problems_from_the_settings_of_the_run(tmp_path: Path) -> None:
    config = load_recipe("tiny", ["tasks.train=arithmetic", "tasks.eval=arithmetic", "tasks.train_problems=5"])
    (tmp_path / "config.json").write_text(json.dumps(config.model_dump(mode="json")))
    problem = training_problems(config)[0]
    row = candidate(1, task=problem.task, problem_id=problem.id, question=problem.question)
    del row["kind"]
    (tmp_path / "cold_start").mkdir()
    path = write(tmp_path / "cold_start" / "items.jsonl", [row])
    for source in (tmp_path / "cold_start", path):
        item = read_source(source, "review")[0]
        assert (item["kind"], item["gold"]) == (problem.kind, problem.gold)
        assert item["text"] == row["text"]
    write(path, [{**row, "problem_id": "another"}])
    with pytest.raises(DataError, match=r"line 1: problem 'another' of arithmetic is no training problem of the run"):
        read_source(path, "review")


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
    assert items[1]["id"] != items[2]["id"]


def test_pairs_come_from_preferences_or_from_candidates_of_one_problem(tmp_path: Path) -> None:
    rows = [{"prompt": "A poem.", "chosen": "Roses", "rejected": "No.", "source": "judge"}]
    item = read_source(write(tmp_path / "pairs.jsonl", rows), "pairs")[0]
    assert (item["question"], item["a"], item["b"], item["source"]) == ("A poem.", "Roses", "No.", "judge")
    candidates = [candidate(2), candidate(3), candidate(4), candidate(5, text=candidate(4)["text"], completion="x")]
    pairs = read_source(write(tmp_path / "items.jsonl", candidates), "pairs")
    assert [(pair["id"], pair["a"]) for pair in pairs] == [("direct-0002+direct-0003", candidate(2)["text"])]


def test_labelled_completions_are_read_without_their_label(tmp_path: Path) -> None:
    rows = [{"prompt": "Hi", "completion": "Go away.", "label": False}]
    item = read_source(write(tmp_path / "labels.jsonl", rows), "safety")[0]
    assert (item["question"], item["text"]) == ("Hi", "Go away.")
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
    ],
)
def test_rows_that_are_no_items_are_named(tmp_path: Path, rows: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(DataError, match=why):
        read_source(write(tmp_path / "items.jsonl", rows), "review")
