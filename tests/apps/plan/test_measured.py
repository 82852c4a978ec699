"""What a run that was made says about lengths and numbers."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.plan.measured import Measured, figures_of, read_measured
from cogitate.apps.plan.work import StageWork
from cogitate.apps.plan.workloads.works import works_of
from cogitate.config import Config
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.run_directory.store import shipped_editions
from cogitate.recipe.settings import load_recipe
from cogitate.tasks.files.datasets import write_rows
from cogitate.tokenizer.bpe import Tokenizer

STEPS: list[dict[str, Any]] = [  # ten completions of 20 tokens, half of them in dead groups; thirty of 40; prompts have 30
    {"step": 0, "completion_tokens": 20, "tokens_generated": 200, "dead_groups": 0.5, "tokens_trained": 250},
    {"step": 1, "completion_tokens": 40, "tokens_generated": 1200, "dead_groups": 0.0, "tokens_trained": 2100},
]


def test_completions_and_prompts_of_rl_follow_from_what_is_logged() -> None:
    assert figures_of(STEPS) == {
        "steps": 2, "completion_tokens": 35, "completions": 20, "prompt_tokens": 30, "updated_share": 1300 / 1400,
        "most_updated_share": 1.0,
    }  # fmt: skip


def test_prompts_are_no_shorter_than_questions_where_groups_that_are_learnt_from_are_short() -> None:
    # Forty completions of 50 tokens on average; the ten of them that are learnt from have 5, and prompts have 20.
    row = {"step": 0, "completion_tokens": 50, "tokens_generated": 2000, "dead_groups": 0.75, "tokens_trained": 250}
    figures = figures_of([row], least_prompt=20.0)
    assert figures["prompt_tokens"] == 20
    assert figures["updated_share"] == 50 / 2000


def test_what_models_judge_is_as_long_as_a_run_measured_it() -> None:
    config = load_recipe("tiny")  # of 48 prompts 28 are judged by models from step 5 of 16 on
    rows = [
        {"step": step, "completion_tokens": tokens, "completion_tokens.reasoning": 60, "tokens_generated": 576 * tokens,
         "dead_groups": 0.0, "tokens_trained": 576 * (tokens + 30)}
        for step, tokens in enumerate([60] * 5 + [39] * 11)
    ]  # fmt: skip
    figures = figures_of(rows)
    assert (figures["mixed_tokens"], figures["mixed_reasoning_tokens"]) == (39, 60)
    (work,) = work_of(config, "r1", Measured({"r1": figures}, has_counts=True)).works
    general = 24  # (20 x 60 + 28 x 24) / 48 = 39
    assert work.scorings == pytest.approx(1 + 2 * 11 / 16 * 28 / 48 * general / figures["completion_tokens"])


def test_collected_completions_are_counted_over_the_whole_stage() -> None:
    rows = [{"step": 0, "sampled": 300, "completion_tokens": 10}, {"step": 1, "sampled": 100, "completion_tokens": 50}]
    assert figures_of(rows) == {"steps": 2, "completions": 400, "completion_tokens": 20}


@pytest.mark.parametrize(
    "rows",
    [
        [], [{"step": 0, "loss": 3.0}], [{"step": 0, "completion_tokens": None}], [{"step": 0, "completion_tokens": 0}],
        [{"step": 0, "completion_tokens": 3, "tokens_generated": 12, "tokens_trained": 0, "dead_groups": 1.0}],
    ],
)  # fmt: skip
def test_rows_without_completions_say_nothing_of_them(rows: list[dict[str, Any]]) -> None:
    assert figures_of(rows).get("prompt_tokens", 10.0) == 10.0
    assert figures_of(rows).get("steps", 1) == 1


def test_an_evaluation_counts_its_completions_and_votes(tmp_path: Path) -> None:
    stage = tmp_path / "evaluate.base"
    stage.mkdir()
    (stage / "metrics.jsonl").write_text('{"step": 0, "accuracy": 0.5}\n', encoding="utf-8")
    (stage / "completions.jsonl").write_text('{"tokens": 30}\n{"tokens": 50}\n', encoding="utf-8")
    (stage / "votes.jsonl").write_text('{"tokens": 100}\n', encoding="utf-8")
    assert read_measured(tmp_path).figures == {"evaluate.base": {"steps": 1, "completions": 3, "completion_tokens": 60}}
    with (stage / "completions.jsonl").open("a", encoding="utf-8") as handle:
        handle.write('{"tokens": 4, "helpfulness": 0.5}\n{"tokens": 6, "helpfulness": 0.0}\n')
    apart = {"general_completions": 2, "general_tokens": 5, "judged_tokens": 60}
    figures = {"steps": 1, "completions": 5, "completion_tokens": 38, **apart}
    assert read_measured(tmp_path).figures == {"evaluate.base": figures}


def test_damaged_records_are_one_line(tmp_path: Path) -> None:
    stage = tmp_path / "reward_models"
    stage.mkdir()
    (stage / "metrics.jsonl").write_text('{"step": 0}\n', encoding="utf-8")
    (stage / "counts.json").write_text('{"pairs": 3}', encoding="utf-8")
    with pytest.raises(DataError, match="reward_models: the record of its preferences is damaged"):
        read_measured(tmp_path)
    (stage / "counts.json").write_text('{"pairs": {"candidates": 40}, "labels": {"prompts": 2}}', encoding="utf-8")
    assert read_measured(tmp_path).of("reward_models", "completions") == 42
    with pytest.raises(ConfigError, match=r"--against .*: holds no STAGE/metrics\.jsonl"):
        read_measured(stage, option="--against")


@pytest.mark.parametrize("row", ['"model": [1]', '"tokens_generated": 120, "tokens_trained": 5, "dead_groups": "x"'])
def test_figures_that_are_none_name_their_log(tmp_path: Path, row: str) -> None:
    (tmp_path / "r1_zero").mkdir()
    log = tmp_path / "r1_zero" / "metrics.jsonl"
    log.write_text(f'{{"step": 0, "completion_tokens": 12, {row}}}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"metrics\.jsonl: its figures cannot be used"):
        read_measured(tmp_path)


def test_given_preferences_are_counted_and_nothing_was_drawn(tmp_path: Path) -> None:
    stage = tmp_path / "reward_models"
    stage.mkdir()
    rows = [{"step": 0, "model": "helpfulness"}, {"step": 1, "model": "safety"}, {"step": 2, "model": "safety"}]
    (stage / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (stage / "counts.json").write_text('{"pairs": {"given": 3, "ties": 0}, "labels": {"given": 2}}', encoding="utf-8")
    write_rows(stage / "preferences.parquet", [{"prompt": "a", "chosen": "b", "rejected": "c"}] * 3)
    write_rows(stage / "safety.parquet", [{"prompt": "a", "completion": "b", "label": True}] * 2)
    measured = read_measured(tmp_path, has_counts=True)
    assert measured.figures["reward_models"] == {
        "steps": 3, "steps of helpfulness": 1, "steps of safety": 2, "pairs": 3, "labels": 2,
    }  # fmt: skip
    works = work_of(load_recipe("tiny"), "reward_models", measured).works
    assert [work.steps for work in works if work.sampling is None] == [1, 2]


def test_conversations_are_as_long_as_the_run_made_them(tmp_path: Path) -> None:
    config = load_recipe("tiny")
    shutil.copytree(shipped_editions("base")[0], tmp_path / "base")
    stage = tmp_path / "cold_start"
    stage.mkdir()
    (stage / "metrics.jsonl").write_text('{"step": 0, "sampled": 2, "completion_tokens": 50}\n', encoding="utf-8")
    asked, said = {"role": "user", "content": "Calculate 2 + 2."}, {"role": "assistant", "content": "4"}
    rows = [{"messages": [asked, said], "completion_tokens": tokens} for tokens in (30, 50)]
    write_rows(stage / "data.parquet", rows)
    measured = read_measured(tmp_path, has_counts=True)
    figures = measured.figures["cold_start"]
    prompt = len(Tokenizer.load(tmp_path / "base").encode("Calculate 2 + 2."))
    assert figures["row_predicted"] == 40
    assert figures["row_tokens"] == 40 + prompt
    (work,) = work_of(config, "r1_dev1", measured).works
    assert work.sequence == 40 + prompt
    assert work.predicted == pytest.approx(40 / (40 + prompt))
    write_rows(stage / "data.parquet", [{"messages": "none", "completion_tokens": 3}])
    with pytest.raises(DataError, match=r"data\.parquet: the conversations are damaged"):
        read_measured(tmp_path)


def test_what_a_process_model_has_drawn_is_known_by_its_tokens() -> None:
    rows: list[dict[str, Any]] = [
        {"step": 0, "completions": 4, "tokens_generated": 900}, {"step": 1, "model": "process", "loss": 0.7},
    ]  # fmt: skip
    assert figures_of(rows) == {"steps": 2, "steps of process": 1, "tokens_generated": 900}


def work_of(config: Config, stage: str, measured: Measured) -> StageWork:
    return next(work for work in works_of(graph_of(config), config, measured=measured) if work.stage.name == stage)


def test_numbers_of_completions_are_taken_from_a_run_only_in_a_plan_of_that_run() -> None:
    config, figures = load_recipe("tiny"), {"r1_zero": figures_of(STEPS)}
    (like,), (same,) = (work_of(config, "r1_zero", Measured(figures, has_counts=own)).works for own in (False, True))
    assert like.sampling is not None
    assert same.sampling is not None
    assert (like.sampling.sequences, same.sampling.sequences) == (24 * 12, 20)
    assert like.sampling.prompt_tokens == same.sampling.prompt_tokens == 30
    assert like.sampling.lengths.mean == 35
    assert like.updated_share == json.loads(json.dumps(1300 / 1400))


def test_a_plan_of_puzzles_takes_the_lengths_that_quick_had_where_nothing_else_is_said() -> None:
    def generated(settings: tuple[str, ...] = (), measured: Measured | None = None, model: str = "") -> tuple[float, bool]:
        """Mean tokens of R1-Zero's completions, and whether they are said to be those of quick."""
        config = load_recipe("quick", settings)
        work = next(
            one for one in works_of(graph_of(config), config, measured=measured, model=model) if one.stage.name == "r1_zero"
        )
        sampling = next(each.sampling for each in work.works if each.sampling is not None)
        return sampling.lengths.mean, "lengths as a run of quick had them" in work.notes

    guessed = generated(measured=Measured())
    usual = generated()
    assert usual[1]
    assert usual[0] < guessed[0] / 2
    assert generated(("r1_zero.max_new_tokens=64",))[0] == 64
    assert generated(("tasks.train=countdown", "tasks.eval=countdown")) == guessed  # other tasks are not known
    assert generated(model="qwen3-0.6b")[0] == guessed[0]
