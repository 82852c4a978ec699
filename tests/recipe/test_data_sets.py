"""A run and a dry run begin with what the users' data sets became."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cogitate.apps.overview import plan_text
from cogitate.recipe.data_sets import describe_evaluation
from cogitate.recipe.runner import data_sets_of, plan
from cogitate.recipe.settings import load_recipe, read_recipe


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    rows = [{"question": f"How many are {n} and {n}?", "answer": f"{2 * n} apples"} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_dry_run_says_what_became_of_a_file_of_problems(mine: Path, tmp_path: Path) -> None:
    recipe = read_recipe("tiny", ["graph=r1_zero", f"tasks.train={mine}", "evaluate.problems=20"])
    config = recipe.config
    planned = plan(config, tmp_path / "run")
    lines = data_sets_of(planned, config)
    assert lines[:2] == [
        f"tasks.train: {mine}: 40 rows, 40 problems; skipped: none",
        "  kind: math 40; language: en 40; contract: r1 40",
    ]
    assert len(lines) == 5
    assert plan_text(recipe, tmp_path / "run", planned).endswith("\n".join(["# data sets", *lines]))
    generated = load_recipe("tiny", ["graph=r1_zero"])
    assert data_sets_of(plan(generated, tmp_path / "run"), generated) == []


def test_an_evaluation_says_how_many_of_a_file_it_asks(mine: Path) -> None:
    config = load_recipe("tiny", [f"tasks.eval={mine}", "evaluate.problems=20"])
    first, counts, *examples = describe_evaluation(config, "free")
    assert first == f"tasks: {mine}: 40 rows, 20 problems; skipped: 20 (beyond evaluate.problems, or for training)"
    assert counts == "  kind: math 20; language: en 20; contract: free 20"
    assert len(examples) == 3


def test_a_users_function_is_described_as_a_file_is_and_its_content_is_part_of_the_ids(tmp_path: Path) -> None:
    path, ids = tmp_path / "x.py", []
    for comment in ("first", "second"):
        path.write_text(
            f"# {comment}\ndef problems(seed, count, split):\n"
            "    return [{'question': f'{split} {n % 30}?', 'answer': n % 30} for n in range(count)]\n"
        )
        name = f"{path}:problems"
        settings = [f"tasks.train={name}", f"tasks.eval={name}", "tasks.train_problems=40", "evaluate.problems=20"]
        config = load_recipe("tiny", ["graph=r1_zero", *settings])
        planned = plan(config, tmp_path / "run")
        ids.append([item.id for item in planned if item.stage.name == "r1_zero"])
        lines = data_sets_of(planned, config)
        assert lines[0] == f"tasks.train: {name}: 40 rows, 30 problems; skipped: 10 (repeat an earlier row)"
        assert lines[2] == "  row 1: math, en: 'train 0?' -> '0'"
        assert lines[5] == f"tasks.eval: {name}: 20 rows, 20 problems; skipped: none"
        assert describe_evaluation(config, "free")[0] == f"tasks: {name}: 20 rows, 20 problems; skipped: none"
    assert ids[0] != ids[1]


def test_given_conversations_and_preferences_are_described(tmp_path: Path, digit_model: Path) -> None:
    talk = tmp_path / "talk.jsonl"
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    talk.write_text(json.dumps({"messages": turns}))
    config = load_recipe("tiny", [f"inputs.base={digit_model}", f"inputs.sft_data={talk}"])
    lines = data_sets_of(plan(config, tmp_path / "run", only="r1_dev3"), config)
    assert lines[0] == f"inputs.sft_data: {talk}: 1 rows, 1 conversations; skipped: none"
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"prompt": "Hi", "chosen": "Hello", "rejected": "What"}))
    config = load_recipe("instruct_gpt", [f"inputs.sft={digit_model}", f"inputs.preferences={pairs}"])
    lines = data_sets_of(plan(config, tmp_path / "other", only="dpo"), config)
    assert lines[0] == f"inputs.preferences: {pairs}: 1 rows, 1 pairs; skipped: none"
