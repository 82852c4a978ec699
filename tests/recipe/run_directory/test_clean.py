"""`cogitate clean` deletes what kills left behind, and nothing that a run reads."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cogitate.apps.overview import clean_text
from cogitate.errors import ArtifactError, RunInUseError
from cogitate.recipe.run_directory.clean import clean
from tests.recipe.kill_harness import outcome
from tests.recipe.toy_recipe import run_toy, toy_config

HOLD = "import sys, time; from pathlib import Path; from cogitate.recipe.run_directory.lock import hold_run\n" \
    "with hold_run(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    run_toy(folder / "run", toy_config(folder))
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run of one's own."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def write(path: Path, size: int = 1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def files_of(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


def test_leftovers_of_a_finished_stage_go_and_a_dry_run_deletes_nothing(run: Path) -> None:
    before = files_of(run)
    write(run / "unfinished" / "toy" / "checkpoint" / "step-000004" / "tensors.safetensors", 2_000_000)
    write(run / "unfinished" / "toy" / "work.json")
    write(run / "results.json.tmp")
    found = clean(run, dry_run=True)
    assert [(item.path, item.size) for item in found] == [
        (run / "results.json.tmp", 1000),
        (run / "unfinished" / "toy", 2_001_000),
    ]
    assert len(files_of(run)) == len(before) + 3
    assert clean(run, dry_run=False) == found
    assert files_of(run) == before
    assert not (run / "unfinished").exists()
    assert clean(run, dry_run=False) == []


def test_a_stage_that_only_lacks_its_name_gets_it_after_cleaning(run: Path, tmp_path: Path) -> None:
    expected = outcome(run)
    work = run / "unfinished" / "toy_second"
    work.mkdir(parents=True)
    (run / "toy_second").rename(work / "out")
    record = json.loads((work / "out" / "manifest.json").read_text())
    (work / "work.json").write_text(json.dumps(record))
    write(work / "checkpoint" / "step-000006" / "tensors.safetensors")
    write(work / "handover" / "policy" / "model.safetensors")
    assert [item.path.name for item in clean(run, dry_run=False)] == ["checkpoint", "handover"]
    run_toy(run, toy_config(tmp_path))
    assert outcome(run) == expected


def test_a_stopped_stage_keeps_what_it_goes_on_from(run: Path) -> None:
    work = run / "unfinished" / "r1"
    kept = {"work.json", "checkpoint/step-000002/state.json", "out/metrics.jsonl"}
    for name in (*kept, "checkpoint/step-000004.tmp/state.json.tmp", "handover/policy/config.json.tmp", "out/a.json.tmp"):
        write(work / name)
    found = {item.path.relative_to(work).as_posix() for item in clean(run, dry_run=False)}
    assert found == {"checkpoint/step-000004.tmp", "handover", "out/a.json.tmp"}
    assert files_of(work) == kept


def test_a_damaged_stage_a_run_in_use_and_another_directory_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"not a run directory: it has no config.json"):
        clean(tmp_path, dry_run=False)
    assert not (tmp_path / "lock").exists()
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunInUseError, match=f"in use by process {process.pid}"):
            clean(run, dry_run=True)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    leftover = write(run / "unfinished" / "toy" / "checkpoint" / "state.json")
    next(path for path in (run / "toy").iterdir() if path.name != "manifest.json").write_text("damaged")
    with pytest.raises(ArtifactError, match="damaged"):
        clean(run, dry_run=False)
    assert leftover.exists()


def test_what_was_freed_is_shown(run: Path) -> None:
    assert clean_text(run, clean(run, dry_run=True), dry_run=True) == f"{run}: nothing to delete"
    write(run / "unfinished" / "toy" / "checkpoint" / "a", 3_000_000)
    assert clean_text(run, clean(run, dry_run=False), dry_run=False).splitlines() == [
        f"{run / 'unfinished' / 'toy'}  3.0 MB  toy is finished",
        "freed 3.0 MB",
    ]
