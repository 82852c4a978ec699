"""What a run that was made says about lengths and numbers."""

import json
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.plan.measured import Measured, figures_of, read_measured
from cogitate.apps.plan.work import StageWork
from cogitate.apps.plan.workloads.works import works_of
from cogitate.config import Config
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import load_recipe

STEPS: list[dict[str, Any]] = [  # ten completions of 20 tokens, half of them in dead groups; thirty of 40; prompts have 30
    {"step": 0, "completion_tokens": 20, "tokens_generated": 200, "dead_groups": 0.5, "tokens_trained": 250},
    {"step": 1, "completion_tokens": 40, "tokens_generated": 1200, "dead_groups": 0.0, "tokens_trained": 2100},
]


def test_completions_and_prompts_of_rl_follow_from_what_is_logged() -> None:
    assert figures_of(STEPS) == {
        "steps": 2, "completion_tokens": 35, "completions": 20, "prompt_tokens": 30, "updated_share": 2350 / 2600,
        "most_updated_share": 1.0,
    }  # fmt: skip


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
    assert like.updated_share == json.loads(json.dumps(2350 / 2600))
