"""What a run of the real stages refuses before any of them spends time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipe.stages.vowel_recipe import command_line, refused, sums, write_recipe, write_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("stages"))


def test_the_same_problem_in_train_and_eval_is_refused_before_any_time_is_spent(folder: Path, tmp_path: Path) -> None:
    rows = [*sums("Held out", 40), {"question": "  train 3: VOWELS,  please?", "answer": 1}]
    asked = write_rows(tmp_path / "asked.jsonl", rows)
    out = tmp_path / "run"
    message = refused(tmp_path, *command_line(folder, out, f"tasks.eval={asked}"), "--retrain", "base")
    assert message.startswith("error: the same problem is in the training and in the evaluation set: ")
    assert "train.jsonl, line 4 and " in message  # although only six of the 41 would have been asked
    assert "asked.jsonl, line 41" in message
    assert not (out / "base").exists()
    assert not (out / "unfinished").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("r1_zero.prompts_per_step=10",), "r1_zero: 9 training problems, but a step needs 10: give more problems or lower"),
        (("tasks.train=arithmetic,general",), "kind general is judged by reward models, not by rules: leave general out"),
        (("tasks.eval=safety",), "kind safety is judged by reward models, not by rules: leave safety out"),
        (("rewards.custom=",), 'eval.jsonl, line 1: kind custom needs rewards.custom="file.py:function"'),
        (("tasks.train=nowhere.jsonl",), "nowhere.jsonl: cannot be read"),
        (("evaluate.thinking_budget=9", "evaluate.closing_phrase=so </think>"), "must hold no tag"),
        (("evaluate.problems=1", "tasks.eval=logic,choice"), "1 problems cannot be shared out over 2 tasks"),
    ],
)
def test_what_cannot_work_is_refused_before_base_is_trained(
    folder: Path, tmp_path: Path, settings: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "run"
    assert message in refused(tmp_path, *command_line(folder, out, *settings), "--retrain", "base")
    assert not (out / "base").exists()
    assert not (out / "unfinished").exists()


def test_a_wrong_file_of_evaluation_problems_is_refused_even_if_no_rl_is_asked_for(folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"question": "1 + 1?", "answer": 2}\n{"question": "1 + 2?"}\n')
    arguments = command_line(folder, tmp_path / "run", f"tasks.eval={bad}")
    assert "bad.jsonl, line 2: answer is missing" in refused(tmp_path, *arguments, "--retrain", "base", "--until", "base")
    assert not (tmp_path / "run" / "base").exists()
