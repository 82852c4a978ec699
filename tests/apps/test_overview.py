import json

import pytest

from cogitate.apps.overview import duration, last_step, status_text
from cogitate.errors import ArtifactError


def test_status_of_a_run_that_is_only_beginning(tmp_path):
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


def test_status_refuses_what_is_no_run_directory_or_is_damaged(tmp_path):
    with pytest.raises(ArtifactError, match="not a run directory"):
        status_text(tmp_path)
    (tmp_path / "config.json").write_text('{"graph"')
    with pytest.raises(ArtifactError, match=r"config.json: damaged"):
        status_text(tmp_path)
    (tmp_path / "config.json").write_text('{"graph": "r1_zero"}')
    (tmp_path / "base").mkdir()
    with pytest.raises(ArtifactError, match=r"base: no manifest.json: half-written"):
        status_text(tmp_path)


def test_there_is_no_last_step_before_the_first(tmp_path):
    assert last_step(tmp_path / "metrics.jsonl") is None


def test_durations_read_as_minutes_and_seconds():
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3600)] == ["0:00", "1:00", "1:01", "60:00"]
