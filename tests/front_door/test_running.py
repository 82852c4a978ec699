"""Runs from Python on the shipped base, one or two steps each."""

import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import cogitate
from cogitate.apps import tracking
from cogitate.apps.tracking import TrackedRun
from cogitate.cli import app
from cogitate.errors import ArtifactError, ConfigError, DataError, Interrupted
from cogitate.recipe.progress import NullProgress
from tests.front_door import functions

ROWS = [{"question": f"A word with {count} letters.", "word": "rain"} for count in range(3, 9)]
STEPS = {"steps": 2, "prompts_per_step": 2, "group_size": 2, "max_new_tokens": 8, "warmup_steps": 0, "checkpoint_every": 1}


def run(out: Path, **arguments: Any) -> cogitate.Run:
    settings = {"graph": "r1_zero", "seed": 1, "r1_zero": STEPS, "rewards": {"workers": 1}, "progress": False, **arguments}
    return cogitate.run("tiny", out=out, problems=ROWS, reward=functions.at_least(2), only="r1_zero", **settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> cogitate.Run:
    return run(tmp_path_factory.mktemp("run") / "whole")


class CtrlC(NullProgress):
    """Presses it at the first row."""

    def row(self, stage: str, row: dict[str, Any]) -> None:
        if row["step"] == 0:
            signal.raise_signal(signal.SIGINT)


def weights(run: cogitate.Run) -> bytes:
    return (run.path / "r1_zero" / "model.safetensors").read_bytes()


def test_ctrl_c_writes_a_checkpoint_and_the_same_call_ends_with_the_same_bytes(finished: cogitate.Run, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=r"stopped at .*r1_zero"):
        run(tmp_path / "stopped", progress=CtrlC())
    assert signal.getsignal(signal.SIGINT) is before
    assert list((tmp_path / "stopped" / "unfinished" / "r1_zero" / "checkpoint").iterdir())
    assert weights(run(tmp_path / "stopped")) == weights(finished)


def test_a_handle_reads_what_was_made(finished: cogitate.Run) -> None:
    assert finished.stages == ["base", "r1_zero"]
    assert [row["step"] for row in finished.metrics("r1_zero")] == [0, 1]
    assert {row["verdict"] for row in finished.transcripts("r1_zero")} <= {"right", "wrong"}


def test_the_command_line_goes_on_with_it(finished: cogitate.Run, capsys: pytest.CaptureFixture[str]) -> None:
    given = finished.path / "given"
    assert finished.settings["rewards"]["custom"] == f"{given / 'reward.py'}:long_enough"
    settings = ["graph=r1_zero", "seed=1", *(f"r1_zero.{key}={value}" for key, value in STEPS.items())]
    settings += [f"tasks.train={given / 'problems.jsonl'}", f"rewards.custom={given / 'reward.py'}:long_enough"]
    app(["run", "tiny", *settings, "--only", "r1_zero", "--out", str(finished.path), "--dry-run"], standalone_mode=False)
    assert f"cached: {finished.path}/r1_zero" in capsys.readouterr().out


def test_metrics_are_tracked_whatever_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    service = TrackedRun(lambda numbers, *, step: rows.append(step), lambda: None)
    monkeypatch.setitem(tracking.START, "trackio", lambda out, stage, settings: service)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: name == "trackio" or find_spec(name, *more))
    run(tmp_path / "run", tracking="trackio", progress=False)
    assert rows == [0, 1]


def test_settings_that_would_make_a_finished_stage_again_want_another_directory(finished: cogitate.Run) -> None:
    with pytest.raises(ArtifactError, match=r"r1_zero \(r1_zero.steps = 2, now r1_zero.steps = 3\) would be made again"):
        run(finished.path, r1_zero={**STEPS, "steps": 3})


def test_a_mistake_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key r1_zero.stepz; did you mean r1_zero.steps\?"):
        run(tmp_path / "run", r1_zero={"stepz": 1})
    with pytest.raises(ConfigError, match=r"tasks.train: given twice"):
        run(tmp_path / "run", tasks={"train": "logic"})
    with pytest.raises(DataError, match=r"problems\[0\]"):
        cogitate.run("tiny", out=tmp_path / "run", problems=["2 + 2"])  # type: ignore[list-item]
    assert not (tmp_path / "run").exists()


def test_where_no_directory_is_named_it_is_that_of_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = cogitate.run("tiny", graph="r1_zero", only="base", progress=False)
    assert made.path == Path("runs/tiny")
    assert os.listdir(tmp_path / "runs" / "tiny" / "base")
