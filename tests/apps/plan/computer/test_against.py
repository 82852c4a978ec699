"""A run beside the plan of this computer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cogitate.cli import app
from cogitate.errors import ConfigError
from cogitate.recipe.settings import load_recipe

Command = Callable[..., Result]
RL_ROW = {"completion_tokens": 40, "tokens_generated": 40 * 288, "dead_groups": 0.0, "tokens_trained": 288 * 120}


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda *words: CliRunner().invoke(app, ["plan", *words])


def write_settings(run: Path, *settings: str) -> None:
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(load_recipe("tiny", settings).model_dump(mode="json")), encoding="utf-8")


def write_stage(run: Path, stage: str, rows: list[dict[str, Any]], **facts: Any) -> None:
    (run / stage).mkdir(parents=True)
    lines = "".join(json.dumps({"step": step, **row}) + "\n" for step, row in enumerate(rows))
    (run / stage / "metrics.jsonl").write_text(lines, encoding="utf-8")
    (run / stage / "manifest.json").write_text(json.dumps({"stage": stage, **facts}), encoding="utf-8")


def test_each_finished_stage_stands_beside_its_plan_worst_first(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_settings(run)
    write_stage(run, "r1_zero", [RL_ROW] * 48, seconds=1e6, peak_memory_bytes=2**30)
    write_stage(run, "r1_dev1", [{"loss": 1.0}] * 65, seconds=25.0)
    content = json.loads(command("tiny", "--against", str(run), "--json").output)
    assert {row["stage"] for row in content["stages"]} == {"r1_zero", "r1_dev1"}
    errors = [abs(row["time_error"]) for row in content["stages"]]
    assert errors == sorted(errors, reverse=True)
    by_name = {row["stage"]: row for row in content["stages"]}
    zero = by_name["r1_zero"]
    assert zero["time_error"] == pytest.approx(zero["planned_seconds"]["value"] / 1e6 - 1)
    assert zero["memory_error"] == pytest.approx(zero["planned_memory_bytes"]["value"] / 2**30 - 1)
    assert by_name["r1_dev1"]["memory_error"] is None
    assert content["left_out"]["r1"] == "not finished in the run, or shipped with the package"
    assert (zero["time_within_bar"], by_name["r1_dev1"]["memory_within_bar"]) == (False, None)
    text = command("tiny", "--against", str(run)).output
    head, *rows = text.splitlines()[:3]
    assert " ".join(head.split()) == "stage planned measured ratio within 20 % GiB planned measured ratio within 10 %"
    row = next(row for row in rows if row.startswith("r1_zero"))
    assert f"  {zero['planned_seconds']['value'] / 1e6:.2f}   outside" in row
    assert "of 2 stages of 20 s or more, " in text
    assert "within 10 % of their memory" in text
    assert "`cogitate plan --calibrate` measures it" in text
    assert "not compared, not finished in the run, or shipped with the package: base, evaluate.base" in text
    assert "other programs" not in text


def test_stages_beside_which_other_programs_were_at_work_are_named(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_settings(run)
    write_stage(run, "r1_zero", [RL_ROW] * 48, seconds=100.0, processor_seconds={"own": 170.0, "others": 4.0})
    write_stage(run, "r1_dev1", [{"loss": 1.0}] * 65, seconds=25.0, processor_seconds={"own": 30.0, "others": 10.0})
    text = command("tiny", "--against", str(run)).output
    assert "other programs kept processors busy, so that these took longer: r1_dev1 (0.4)\n" in text
    rows = json.loads(command("tiny", "--against", str(run), "--json").output)["stages"]
    assert {row["stage"]: row["processors_of_others"] for row in rows} == {"r1_zero": 0.04, "r1_dev1": 0.4}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--gpus", "8xH100"), "--against compares a run with the plan of this computer"),
        (("--like", "run"), "--against plans the run as it was: --like has no effect here"),
        (("--smallest",), "--against plans the run as it was: --smallest has no effect here"),
        ((), "holds no STAGE/metrics.jsonl; give the directory of a run that has been made"),
    ],
)
def test_a_mistake_is_one_line(command: Command, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    result = command("tiny", "--against", str(tmp_path), *words)
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_a_run_without_a_finished_stage_is_refused(command: Command, tmp_path: Path) -> None:
    write_settings(tmp_path / "run")
    write_stage(tmp_path / "run", "own", [{"loss": 1.0}], seconds=1.0)
    result = command("tiny", "--against", str(tmp_path / "run"))
    assert "no finished stage is there that was made in it (base: not finished in the run" in str(result.exception)


def test_a_run_of_another_recipe_or_of_other_settings_is_refused_although_its_stages_have_the_same_names(
    command: Command, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    write_stage(run, "r1_zero", [RL_ROW] * 48, seconds=100.0)
    assert "holds no config.json" in str(command("tiny", "--against", str(run)).exception)
    write_settings(run, "r1_zero.steps=12", "rewards.workers=1")
    said = str(command("tiny", "--against", str(run)).exception)
    assert said.endswith("was made with r1_zero.steps = 12, now r1_zero.steps = 48: give the settings of that run")
    assert command("tiny", "r1_zero.steps=12", "--against", str(run)).exit_code == 0
    said = str(command("instruct_gpt", "--against", str(run)).exception)
    assert 'was started with graph = "r1", now graph = "instruct_gpt": give the recipe of that run' in said
