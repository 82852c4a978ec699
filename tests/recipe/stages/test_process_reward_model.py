"""The stage process_reward_model on the shipped base: every way of labelling, over a kill, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from cogitate.config import ProcessRewardModelConfig
from cogitate.errors import CheckpointError
from cogitate.evals.evaluate import Asking
from cogitate.recipe.kinds import FINE_TUNE, PROCESS_REWARD_MODEL
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.recipe.settings import make_config
from cogitate.recipe.stage import Stage, StageContext
from cogitate.recipe.stages.process_rewards.stage import from_file
from cogitate.runtime import MetricsLog
from cogitate.search.scoring import SolutionScorer, read_settings
from cogitate.tasks.files.stepwise import load_stepwise
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.steps import StepReader
from cogitate.types import Artifact, Problem
from tests.train.rl_loop import raise_at

GRAPH = (Stage("sft", FINE_TUNE), Stage("steps", PROCESS_REWARD_MODEL, needs=("sft",)))
ROWS = [
    {"name": "sft", "kind": "fine_tune", "needs": ["start", "data"]},
    {"name": "steps", "kind": "process_reward_model", "needs": ["sft"]},
]


def run_stage(folder: Path, *, on_row: Callable[[dict[str, Any]], None] | None = None, **settings: Any) -> dict[str, Any]:
    """One attempt of the stage in a directory of its own."""
    small = {} if settings.get("labels") == "file" else {"problems": 4, "samples": 2, "max_new_tokens": 20}
    config = make_config(
        {
            "stages": ROWS, "inputs": {"start": "x", "data": "y"},
            "steps": {"epochs": 1, "batch": 4, "held_out_share": 0.3, **small, **settings},
            "tasks": {"train": "arithmetic", "eval": "arithmetic", "train_problems": 8}, "evaluate": {"problems": 4},
            "rewards": {"workers": 1, "seconds_limit": 20}, "runtime": {"threads": 1, "max_batch": 16, "prefix_cache": 16},
        }
    )  # fmt: skip
    for directory in (folder / "out", folder / "checkpoint"):
        directory.mkdir(parents=True, exist_ok=True)
    backend = LocalBackend(config)
    log = MetricsLog(folder / "out" / "metrics.jsonl", on_row)
    context = StageContext("steps", GRAPH, backend, log, folder / "checkpoint", NullProgress())
    try:
        found = PROCESS_REWARD_MODEL.work().run(config, {"sft": Artifact("", "", SHIPPED / "base")}, folder / "out", context)
        if (folder / "out" / "value_head.safetensors").is_file():
            SolutionScorer(backend, folder / "out")
    finally:
        backend.close()
    return dict(found or {})


def test_a_killed_attempt_goes_on_to_the_same_model(tmp_path: Path) -> None:
    whole = run_stage(tmp_path / "whole", rollouts=2, chunk=4)

    def kill(row: dict[str, Any]) -> None:
        if row["step"] == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(tmp_path / "killed", rollouts=2, chunk=4, on_row=kill)
    assert run_stage(tmp_path / "killed", rollouts=2, chunk=4) == whole
    for name in ("value_head.safetensors", "steps.jsonl"):
        assert (tmp_path / "killed" / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()
    logs = [(tmp_path / name / "out" / "metrics.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    assert [[json.loads(row)["step"] for row in log] for log in logs] == [list(range(len(logs[0])))] * 2
    against = whole["model"]["against_checker"]
    assert "policy_ranking" in against
    assert (against["at_threshold"] is None) == (whole["model"]["threshold"] is None)
    labels = whole["labels"]
    assert labels["completions"] == 8
    assert labels["against_checker"]["steps"] <= labels["steps"]
    assert set(whole["choice"]) >= {"pass@1", "oracle", "majority", "best_of_n.minimum"}


def test_an_attempt_that_goes_on_with_other_chunks_loses_and_doubles_nothing(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"rollouts": 1, "epochs": 3, "checkpoint_every": 1}
    whole = run_stage(tmp_path / "whole", chunk=4, **settings)
    for killed_at, chunk in ((0, 4), (6, 2)):  # while further labels are sought, and after checkpoints of learning
        with pytest.raises(KeyboardInterrupt):
            run_stage(tmp_path / "killed", chunk=chunk, on_row=raise_at(killed_at), **settings)
    assert run_stage(tmp_path / "killed", chunk=8, **settings) == whole
    for name in ("value_head.safetensors", "steps.jsonl"):
        assert (tmp_path / "killed" / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()
    log = [json.loads(row)["step"] for row in (tmp_path / "killed" / "out" / "metrics.jsonl").read_text().splitlines()]
    assert log == list(range(len(log)))


@pytest.mark.parametrize("labels", ["bisection", "checker", "outcome"])
def test_other_labels_are_learnt_from(tmp_path: Path, labels: str) -> None:
    further: dict[str, Any] = {"rollouts": 2} if labels == "bisection" else {}
    summary = run_stage(tmp_path, labels=labels, **further)
    assert summary["labels"]["completions"] == 8
    for row in load_stepwise(tmp_path / "out" / "steps.jsonl"):
        wrong = row.labels.index(0.0) if 0.0 in row.labels else len(row.labels) - 1
        assert wrong == len(row.labels) - 1  # nothing is learnt of what comes after the first wrong step
        assert labels != "outcome" or len(row.labels) == 1
    assert read_settings(tmp_path / "out")["score"] == ("last" if labels == "outcome" else "minimum")


def test_a_users_file_is_learnt_from(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"What is {a} + 1?", "completions": [f"{a} + 1 = {b}.", f"So {b}."], "labels": [b == a + 1] * 2}
        for a in range(5) for b in (a + 1, a + 2)
    ]  # fmt: skip
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    summary = run_stage(tmp_path, labels="file", steps_file=str(file))
    assert (summary["rows"], summary["too_long"], summary["labels"]["right"]) == (10, 0, 5)
    assert summary["model"]["held_out"] == 4  # both completions of two prompts
    assert "choice" not in summary


def asked_with(prompt: str, problem: Problem) -> str:
    return prompt.format(problem.question)


def test_thinking_that_the_prompt_has_opened_is_not_opened_again(tmp_path: Path) -> None:
    row = {"prompt": "1 + 1?", "completions": [" <think> 1 + 1 = 2.", " </think> 2"], "labels": [True, True]}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row))
    settings = ProcessRewardModelConfig(labels="file", steps_file=str(tmp_path / "mine.jsonl"), step_separator="")
    tokenizer, context = Tokenizer.load(SHIPPED / "base"), cast(StageContext, None)
    for prompt, expected in (("{} <think>", " 1 + 1 = 2. </think> 2"), ("{}", " <think> 1 + 1 = 2. </think> 2")):
        asking = Asking("turn", partial(asked_with, prompt), "r1", "think_answer")
        ((solution,), _, _) = from_file(settings, asking, StepReader(tokenizer), context, SHIPPED / "base")
        assert tokenizer.decode(solution.completion_ids) == expected


@pytest.mark.slow
def test_the_model_can_learn_by_heart_which_results_are_changed(tmp_path: Path) -> None:
    """16 sums with their results, and the same with others."""
    rows = [
        {
            "prompt": f"Compute {a} + {b}.",
            "completions": [f" <think> First {a} + {b} = {a + b + wrong}.", f" </think> <answer> {a + b + wrong} </answer>"],
            "labels": [not wrong] * 2,
        }
        for a in range(2, 8) for b in (11, 15, 18) for wrong in (0, 1)
    ]  # fmt: skip
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    learning: dict[str, Any] = {
        "epochs": 30,
        "batch": 32,
        "learning_rate": 2e-3,
        "final_learning_rate": 1e-3,
        "held_out_share": 0.12,
    }
    summary = run_stage(tmp_path, labels="file", steps_file=str(file), step_separator="", **learning)
    assert summary["model"]["held_out"] == 4
    log = [json.loads(row) for row in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert log[-1]["accuracy"] > 0.98


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": "file"}, "labels = file and steps_file go together"),
        ({"labels": "checker", "rollouts": 4}, "rollouts changes nothing with labels = checker"),
        ({"labels": "bisection", "soft": True}, "soft changes nothing with labels = bisection"),
        ({"step_separator": " "}, "step_separator changes nothing with labels = monte_carlo"),
        ({"labels": "file", "steps_file": "x", "samples": 2}, "samples changes nothing with labels = file"),
    ],
)
def test_settings_without_effect_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ProcessRewardModelConfig(**settings)


def test_another_directory_is_no_process_model() -> None:
    with pytest.raises(CheckpointError, match=r"no process_model\.json: give a model that a stage of kind"):
        read_settings(SHIPPED / "base")
