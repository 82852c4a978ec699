"""`cogitate status`: runs whole, under way, failed and damaged; stages and models."""

import json
import shutil
from pathlib import Path

import pytest

from cogitate.apps.status import last_step, status_text, told
from cogitate.costs.factors import Estimate
from cogitate.errors import ArtifactError
from cogitate.recipe.run_directory.failure import Failure, failure_recorded, read_failure
from cogitate.recipe.run_directory.planned import PlannedStage, write_planned
from cogitate.recipe.run_directory.store import SHIPPED


def begin(out: Path, stage: str = "r1_zero") -> Path:
    """A run whose stage was stopped in its third step."""
    (out / "config.json").write_text('{"graph": "r1_zero", "seed": 4}')
    work = out / "unfinished" / stage
    (work / "out").mkdir(parents=True)
    (work / "work.json").write_text(json.dumps({"id": "0123456789ab", "seconds": 75.2}))
    (work / "out" / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1}\n{"step": 2, "rew')
    return work


def test_status_of_a_run_that_is_only_beginning(tmp_path: Path) -> None:
    begin(tmp_path)
    lines = status_text(tmp_path).splitlines()
    assert lines[0] == f"{tmp_path}: graph r1_zero, seed 4; nothing is running in it; 0 of 4 stages finished"
    assert [line.split() for line in lines[1:5]] == [
        ["base", "to", "do"],
        ["evaluate.base", "to", "do"],
        ["r1_zero", "0123456789ab", "stopped", "1:15", "2", "steps", "done"],
        ["evaluate.r1_zero", "to", "do"],
    ]
    assert lines[5:] == ["the command that began this run goes on from the last checkpoint"]


def test_a_failed_run_says_which_stage_failed_and_how(tmp_path: Path) -> None:
    begin(tmp_path)
    with pytest.raises(ArtifactError), failure_recorded(tmp_path, "r1_zero"):
        raise ArtifactError("the model\nis gone")
    lines = status_text(tmp_path).splitlines()
    assert lines[3].split()[2] == "failed"
    assert "r1_zero failed: the model is gone" in lines
    with pytest.raises(ZeroDivisionError), failure_recorded(tmp_path, "base"):
        print(1 / 0)
    failure = read_failure(tmp_path)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.error) == ("base", "ZeroDivisionError: division by zero")
    assert Path(__file__).name in failure.place
    assert f"  at {failure.place}" in status_text(tmp_path)


def test_a_damaged_run_is_one_picture_with_every_damage_beneath_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"graph": "r1_zero", "inputs": {"r1_zero": "elsewhere/r1_zero"}}')
    shutil.copytree(SHIPPED / "base", tmp_path / "base")
    with (tmp_path / "base" / "config.json").open("a") as handle:
        handle.write(" ")
    (tmp_path / "evaluate.base").mkdir()
    text = status_text(tmp_path)
    rows = [line.split() for line in text.splitlines()[1:5]]
    assert rows[0] == ["base", "damaged", "see", "below"]
    assert rows[1] == ["evaluate.base", "damaged", "see", "below"]
    assert rows[2] == ["r1_zero", "given", "elsewhere/r1_zero"]
    assert f"base is damaged: {tmp_path / 'base' / 'config.json'}: " in text
    assert "evaluate.base: no manifest.json: half-written" in text


def test_settings_that_cannot_be_read_do_not_hide_what_is_there(tmp_path: Path) -> None:
    begin(tmp_path)
    shutil.copytree(SHIPPED / "base", tmp_path / "base")
    (tmp_path / "config.json").write_text('{"graph"')
    lines = status_text(tmp_path).splitlines()
    assert "settings unknown" in lines[0]
    assert [line.split()[0] for line in lines[1:3]] == ["base", "r1_zero"]
    assert lines[3].startswith(f"{tmp_path / 'config.json'}: damaged")


def test_the_status_of_a_model_is_what_it_is_and_who_made_it(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "base", tmp_path / "base")
    lines = status_text(tmp_path / "base").splitlines()
    assert lines[0].startswith(f"{tmp_path / 'base'}: the model of stage base, id ")
    assert lines[0].endswith(", whole")
    assert lines[1].startswith("deepseek_v3, 2.49 M parameters, 4 layers, context of 512 tokens")
    (tmp_path / "base" / "manifest.json").unlink()
    assert status_text(tmp_path / "base").splitlines()[0] == f"{tmp_path / 'base'}: a model"
    (tmp_path / "base" / "config.json").write_text('{"model_type": "gpt5"}')
    assert "it cannot be read" in status_text(tmp_path / "base")


def test_the_status_of_a_damaged_artifact_says_so(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "base", tmp_path / "base")
    (tmp_path / "base" / "tokenizer.json").unlink()
    text = status_text(tmp_path / "base")
    assert text.startswith(f"{tmp_path / 'base'}: a stage's artifact, damaged")
    assert "tokenizer.json: missing" in text


def test_what_is_no_directory_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"not a run directory: it has no config\.json"):
        status_text(tmp_path)
    with pytest.raises(ArtifactError, match="no such directory"):
        status_text(tmp_path / "nowhere")


def test_there_is_no_last_step_before_the_first(tmp_path: Path) -> None:
    assert last_step(tmp_path / "metrics.jsonl") is None


def test_a_finished_stage_tells_its_scores_and_its_summary(tmp_path: Path) -> None:
    rate = {"value": 0.25, "ci95": [0.2, 0.3]}
    (tmp_path / "evaluation.json").write_text(json.dumps({"all": {"format_rate": rate, "pass@1": rate}}))
    summary = {"prompt": "r1", "pass@1 by prompt": {}, "seconds": 0.1, "helpfulness": {"accuracy": rate}, "kept": 12}
    assert list(told(tmp_path, summary)) == [
        "pass@1 0.250, format_rate 0.250", "prompt: r1", "helpfulness: accuracy 0.250", "kept: 12",
    ]  # fmt: skip
    assert list(told(tmp_path / "elsewhere", {"stopped_early": "why"})) == ["stopped_early: why"]


def test_a_stage_whose_completions_had_no_verdict_says_why(tmp_path: Path) -> None:
    (line,) = told(tmp_path, {"no_verdict": {"share": 0.5, "first": "mine.jsonl, line 3: it raised"}})
    assert line == "50.0 % of the completions have no verdict; the first: mine.jsonl, line 3: it raised"


def test_a_run_with_a_plan_says_how_long_it_will_take_by_pace_and_plan(tmp_path: Path) -> None:
    work = begin(tmp_path)
    hour = PlannedStage(Estimate(3600.0, 3000.0, 4000.0), Estimate(1e9, 1e9, 1e9))
    write_planned(tmp_path, "this computer", {"r1_zero": hour, "evaluate.r1_zero": hour})
    assert "about 118:45 left in all by its plan" in status_text(tmp_path)  # an hour without 75.2 s, and an hour
    (tmp_path / "config.json").write_text('{"graph": "r1_zero", "seed": 4, "r1_zero": {"steps": 12}}')
    assert "about 66:16 left in all by its plan" in status_text(tmp_path)  # ten steps of 37.6 s, and an hour
    proposed = '{"graph": "r1_zero", "seed": 4, "r1_zero": {"steps": 40, "from_probe": ["steps"]}}'
    (tmp_path / "config.json").write_text(proposed)
    (work / "out" / "proposal.toml").write_text("[r1_zero]\nsteps = 12\n")
    assert "about 66:16 left in all by its plan" in status_text(tmp_path)  # by the steps that a probe has proposed
    (work / "out" / "proposal.toml").write_text("[r1_zero")
    assert "about 118:45 left in all by its plan" in status_text(tmp_path)
    (work / "work.json").write_text("{")
    assert "about 60:00 left in all by its plan" in status_text(tmp_path)  # the damaged stage has a line of its own
    (tmp_path / "plan.json").write_text("{")
    assert "plan.json: damaged" in status_text(tmp_path)
