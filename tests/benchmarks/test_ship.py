"""Shipping an artifact with fewer rows of its log, and what all that ships weighs together."""

import json
from pathlib import Path

import pytest

from benchmarks import ship as module
from benchmarks.ship import ship, thinned
from cogitate.errors import ArtifactError
from cogitate.recipe.run_directory import store
from cogitate.recipe.run_directory.store import MANIFEST, SHIPPED, find_shipped, is_shipped_copy, load_manifest, verify
from cogitate.recipe.stage import Stage
from cogitate.runtime import MetricsLog
from tests.recipe import toy_stage
from tests.recipe.toy_recipe import toy_config

TOY = Stage("toy", toy_stage.TOY)


def made(directory: Path, config: Path, seconds: float = 1.5) -> Path:
    """A finished artifact of the toy stage with a log."""
    directory.mkdir(parents=True)
    (directory / "weights").write_bytes(b"12345")
    log = MetricsLog(directory / "metrics.jsonl")
    for step in range(35):
        measured = {"held_out_loss": 0.25} if step == 17 else {}
        log.write({"step": step, "loss": 1 / (step + 3), "tokens": 100_001 + step, **measured})
    store.seal(directory, store.identify(TOY, (TOY,), toy_config(config), {}), seconds=seconds, summary={"held_out_loss": 0.2})
    return directory


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for place in (store, module):
        monkeypatch.setattr(place, "SHIPPED", tmp_path / "shipped")
    return tmp_path / "shipped"


def test_of_the_log_every_tenth_row_is_shipped_the_last_and_those_that_measure(tmp_path: Path, shipped: Path) -> None:
    target = ship(made(tmp_path / "run" / "toy", tmp_path), shipped / "other" / "toy")
    rows = [json.loads(line) for line in (target / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 10, 17, 20, 30, 34]
    assert rows[1] == {"step": 10, "loss": 0.076923, "tokens": 100_011}  # whole numbers stay whole
    assert verify(target, every_hash=True)["log"] == {"every": 10, "digits": 5, "tokens": 35 * 100_001 + 34 * 35 // 2}


def test_what_is_shipped_is_what_the_run_made_but_for_the_log(tmp_path: Path, shipped: Path) -> None:
    run = made(tmp_path / "run" / "toy", tmp_path)
    target = ship(run, shipped / "toy")
    assert find_shipped(store.identify(TOY, (TOY,), toy_config(tmp_path), {})) == target
    assert (target / "weights").read_bytes() == (run / "weights").read_bytes()
    before, after = load_manifest(run), load_manifest(target)
    assert {key for key in after if after[key] != before.get(key)} == {"log", "files"}
    assert is_shipped_copy(run)  # as copies are that a version with a longer log has made


def test_a_retrained_or_damaged_artifact_is_not_a_shipped_copy(tmp_path: Path, shipped: Path) -> None:
    ship(made(tmp_path / "run" / "toy", tmp_path), shipped / "toy")
    again = made(tmp_path / "again" / "toy", tmp_path, seconds=1.6)
    assert not is_shipped_copy(again)
    (again / MANIFEST).write_text("[1")
    assert not is_shipped_copy(again)


def test_another_stage_a_thinned_log_and_damage_are_refused(tmp_path: Path, shipped: Path) -> None:
    run = made(tmp_path / "run" / "toy", tmp_path)
    with pytest.raises(ArtifactError, match="made by the stage toy"):
        ship(run, shipped / "base")
    target = ship(run, shipped / "toy")
    with pytest.raises(ArtifactError, match="every 10th row already"):
        ship(target, shipped / "toy")
    (run / "weights").write_bytes(b"12346")
    with pytest.raises(ArtifactError, match="content differs"):
        ship(run, shipped / "toy")
    assert (target / MANIFEST).is_file()


def test_an_empty_log_stays_empty() -> None:
    assert thinned([]) == []


def test_all_that_ships_is_under_thirty_megabytes() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*") if path.is_file()) < 30_000_000
