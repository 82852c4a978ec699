"""A run beside its plan."""

import json
from pathlib import Path

import pytest

from cogitate.apps.plan.computer.calibrate import write_calibration
from cogitate.apps.plan.computer.following import BesidePlan, planned_stages
from cogitate.apps.plan.computer.timing import SMALL_LLAMA
from cogitate.apps.plan.models import known_shapes
from cogitate.apps.progress import clock_of
from cogitate.config import Config
from cogitate.costs.factors import prior_factors
from cogitate.recipe.recipe import GRAPHS, R1_ZERO, graph_of
from cogitate.recipe.run_directory.planned import read_planned
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import Kind, Need, Stage
from tests.apps.plan.computer.test_computer import made_up
from tests.processor_time import cheapest
from tests.recipe.toy_recipe import toy_config


@pytest.fixture
def calibrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a calibration that this computer seems to have had."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "cache" / "cogitate" / "plan.json"
    write_calibration(made_up(1.0), prior_factors(), path)
    return path


def beside(out: Path, config: Config, *, retrain: tuple[str, ...] = ()) -> tuple[BesidePlan, list[str]]:
    out.mkdir(exist_ok=True)
    lines: list[str] = []
    return BesidePlan(out, config, lines.append, retrain), lines


def finish(out: Path, stage: str, seconds: float) -> None:
    (out / stage).mkdir()
    manifest = {"stage": stage, "seconds": seconds, "peak_memory_bytes": 1 << 30}
    (out / stage / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.usefixtures("calibrated")
def test_a_run_says_its_plan_at_its_start_and_after_each_stage_how_it_did(tmp_path: Path) -> None:
    config, out = load_recipe("tiny", ["runtime.device=cpu"]), tmp_path / "run"
    watcher, lines = beside(out, config)
    stages = ["base", "evaluate.base", "r1_zero", "evaluate.r1_zero"]
    watcher.run_begins(stages)
    planned = read_planned(out)
    assert "base" not in planned  # ships with the package
    assert {stage.name for stage in graph_of(config)} > planned.keys() > {"r1_zero", "evaluate.r1_zero", "r1_distill_qwen"}
    assert lines[0].startswith("by the plan, 3 stages take ")
    watcher.stage_begins("r1_zero", 0, 48)
    assert len(lines) == 1
    finish(out, "r1_zero", 2 * planned["r1_zero"].seconds.value)
    watcher.say("r1_zero: finished, run/r1_zero")
    watcher.say("something else")
    assert len(lines) == 2
    assert lines[1].startswith("r1_zero: ")
    assert "(+100 %); 1.00 GiB, planned " in lines[1]


@pytest.mark.usefixtures("calibrated")
def test_a_stage_that_is_trained_although_it_ships_is_planned(tmp_path: Path) -> None:
    watcher, _ = beside(tmp_path / "run", load_recipe("tiny", ["runtime.device=cpu"]), retrain=("base",))
    watcher.run_begins(["base"])
    assert "base" in read_planned(tmp_path / "run")


def test_without_a_calibration_there_is_no_plan_and_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    watcher, lines = beside(tmp_path / "run", load_recipe("tiny", ["runtime.device=cpu"]))
    (tmp_path / "run" / "plan.json").write_text("of an earlier start", encoding="utf-8")
    watcher.run_begins(["base"])
    assert not (tmp_path / "run" / "plan.json").exists()
    assert lines == []


def test_with_an_accelerator_there_is_no_plan(tmp_path: Path, calibrated: Path) -> None:
    assert calibrated.is_file()
    watcher, lines = beside(tmp_path / "run", load_recipe("tiny", ["runtime.device=cuda"]))
    watcher.run_begins(["base"])
    assert (lines, read_planned(tmp_path / "run")) == ([], {})


def test_a_calibration_that_cannot_be_read_does_not_stop_the_run(tmp_path: Path, calibrated: Path) -> None:
    calibrated.write_text("{}", encoding="utf-8")
    watcher, lines = beside(tmp_path / "run", load_recipe("tiny", ["runtime.device=cpu"]))
    watcher.run_begins(["base"])
    (line,) = lines
    assert line.startswith(f"no plan of this run: {calibrated}: is no file of the planner's factors")


def test_a_fault_of_the_plan_does_not_stop_the_run(tmp_path: Path, calibrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert calibrated.is_file()
    monkeypatch.setattr("cogitate.apps.plan.computer.following.planned_stages", lambda *_: 1 / 0)
    watcher, lines = beside(tmp_path / "run", load_recipe("tiny", ["runtime.device=cpu"]))
    watcher.run_begins(["base"])
    assert lines == ["no plan of this run: ZeroDivisionError: division by zero"]


@pytest.mark.usefixtures("calibrated")
def test_stages_that_are_not_planned_leave_an_empty_plan(tmp_path: Path) -> None:
    config = toy_config(tmp_path, "runtime.device=cpu")
    watcher, lines = beside(tmp_path / "run", config)
    watcher.run_begins(["toy"])
    assert lines == []
    assert read_planned(tmp_path / "run") == {}


def own_recipe(folder: Path, *settings: str) -> Config:
    """A recipe on a model of the user's, whose probe proposes the number of steps alone."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text(json.dumps(SMALL_LLAMA.to_dict()), encoding="utf-8")
    own = [f"inputs.base={model}", "tasks.train=arithmetic", 'r1_zero.from_probe=["steps"]', "runtime.device=cpu"]
    return load_recipe("own", [*own, "runtime.dtype=float32", *settings])


@pytest.mark.usefixtures("calibrated")
def test_what_a_probe_leaves_open_takes_the_minutes_it_may_take_until_it_has_proposed_the_steps(tmp_path: Path) -> None:
    out = tmp_path / "run"
    watcher, lines = beside(out, own_recipe(tmp_path, "probe.minutes=7"))
    stages = ["base", "probe", "evaluate.base", "r1_zero", "evaluate.r1_zero"]
    watcher.run_begins(stages)
    before = read_planned(out)
    assert before.keys() == set(stages) - {"base"}
    assert before["r1_zero"].seconds.value == 7 * 60
    finish(out, "probe", 30.0)
    (out / "probe" / "proposal.toml").write_text("[r1_zero]\nsteps = 3\n", encoding="utf-8")
    watcher.say("probe: finished")
    few = read_planned(out)["r1_zero"].seconds.value
    assert [line.split(",")[0].split(" ")[0] for line in lines] == ["by", "probe:", "by"]
    assert lines[-1].startswith("by the plan, 3 stages take ")
    more: list[float] = []
    for steps in (6, 9):
        again, _ = beside(out, own_recipe(tmp_path))
        (out / "probe" / "proposal.toml").write_text(f"[r1_zero]\nsteps = {steps}\n", encoding="utf-8")
        again.run_begins(stages)  # a run that is resumed reads the proposal at its start
        more.append(read_planned(out)["r1_zero"].seconds.value)
    assert more[1] - more[0] == pytest.approx(more[0] - few)


@pytest.mark.usefixtures("calibrated")
def test_the_display_shows_the_time_left_of_a_recipe_with_a_shipped_base_and_of_an_own_one(tmp_path: Path) -> None:
    for config, stages in (
        (load_recipe("puzzles", ["runtime.device=cpu"]), ["base", "evaluate.base", "r1_zero", "evaluate.r1_zero"]),
        (own_recipe(tmp_path), ["base", "probe", "evaluate.base", "r1_zero", "evaluate.r1_zero"]),
    ):
        out = tmp_path / config.graph / str(len(stages))
        out.mkdir(parents=True)
        watcher, _ = beside(out, config)
        watcher.run_begins(stages)
        planned = read_planned(out)
        clock = clock_of(out, stages, "evaluate.base", 0, 3)
        left = sum(planned[name].seconds.value for name in ("evaluate.base", "r1_zero", "evaluate.r1_zero"))
        assert clock.left_in_all(0) == pytest.approx(left, abs=1.0)


@pytest.mark.usefixtures("calibrated")
def test_stages_that_no_plan_knows_are_named_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Stage("theirs", Kind("nobodys", "nowhere", None, reads=(), needs=(Need("model"),)), needs=("base",))
    monkeypatch.setitem(GRAPHS, "with_theirs", (*R1_ZERO, theirs))
    watcher, lines = beside(tmp_path / "run", load_recipe("tiny", ["graph=with_theirs", "runtime.device=cpu"]))
    watcher.run_begins(["r1_zero", "evaluate.r1_zero", "theirs"])
    assert lines[0].endswith("; not planned: theirs")


@pytest.mark.usefixtures("calibrated")
def test_a_plan_costs_a_run_little_time() -> None:
    config = load_recipe("tiny", ["runtime.device=cpu"])

    def plan(go: int) -> None:
        known_shapes.cache_clear()
        planned_stages(config)

    assert cheapest(plan, enough=1.0) < 1.0  # a third of a second, with room for a slow machine
