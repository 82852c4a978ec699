import json
from pathlib import Path

import pytest

from cogitate.apps.overview import duration, last_step, results_text, status_text, told
from cogitate.errors import ArtifactError


def test_status_of_a_run_that_is_only_beginning(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"graph": "r1_zero"}')
    work = tmp_path / "unfinished" / "r1_zero"
    (work / "out").mkdir(parents=True)
    (work / "work.json").write_text(json.dumps({"id": "0123456789ab", "seconds": 75.2}))
    (work / "out" / "metrics.jsonl").write_text('{"step": 0}\n{"step": 1}\n{"step": 2, "rew')
    lines = status_text(tmp_path).splitlines()
    assert lines[0] == f"{tmp_path}: graph r1_zero; nothing is running in it"
    assert [line.split() for line in lines[1:]] == [
        ["base", "to", "do"],
        ["evaluate.base", "to", "do"],
        ["r1_zero", "0123456789ab", "stopped", "1:15", "2", "steps", "done"],
        ["evaluate.r1_zero", "to", "do"],
    ]


def test_status_refuses_what_is_no_run_directory_or_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a run directory"):
        status_text(tmp_path)
    (tmp_path / "config.json").write_text('{"graph"')
    with pytest.raises(ArtifactError, match=r"config.json: damaged"):
        status_text(tmp_path)
    (tmp_path / "config.json").write_text('{"graph": "r1_zero"}')
    (tmp_path / "base").mkdir()
    with pytest.raises(ArtifactError, match=r"base: no manifest.json: half-written"):
        status_text(tmp_path)


def test_there_is_no_last_step_before_the_first(tmp_path: Path) -> None:
    assert last_step(tmp_path / "metrics.jsonl") is None


def test_durations_read_as_minutes_and_seconds() -> None:
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3600)] == ["0:00", "1:00", "1:01", "60:00"]


def test_results_in_a_line_each_with_what_else_was_measured(tmp_path: Path) -> None:
    rate = {"value": 0.9712, "ci95": [0.96, 0.98]}
    stages = {
        "base": {"all": {"pass@1": {"value": 0.5, "ci95": [0.45, 0.55]}}},
        "r1": {"all": {"pass@1": rate, "safety": rate, "helpfulness": rate}},
        "unmeasured": {"all": {}},
    }
    (tmp_path / "results.json").write_text(json.dumps({"stages": stages}))
    assert results_text(tmp_path / "results.json").splitlines() == [
        "base  pass@1 0.500  95 % interval 0.450 to 0.550",
        "r1    pass@1 0.971  95 % interval 0.960 to 0.980  helpfulness 0.971, safety 0.971",
    ]


def test_a_finished_stage_tells_its_scores_and_its_summary(tmp_path: Path) -> None:
    rate = {"value": 0.25, "ci95": [0.2, 0.3]}
    (tmp_path / "evaluation.json").write_text(json.dumps({"all": {"format_rate": rate, "pass@1": rate}}))
    summary = {"prompt": "r1", "pass@1 by prompt": {}, "seconds": 0.1, "helpfulness": {"accuracy": rate}, "kept": 12}
    assert list(told(tmp_path, summary)) == [
        "pass@1 0.250, format_rate 0.250", "prompt: r1", "helpfulness: accuracy 0.250", "kept: 12",
    ]  # fmt: skip
    assert list(told(tmp_path / "elsewhere", {"stopped_early": "why"})) == ["stopped_early: why"]
