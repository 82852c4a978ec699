"""This computer: calibration finds what made the timings; a run that cannot fit is refused."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from cogitate.apps.plan.computer.calibrate import (
    PRIORS_OF_CPUS,
    fit_timings,
    memory_observations,
    rollout_observation,
    step_observation,
    update_observation,
    write_calibration,
)
from cogitate.apps.plan.computer.guard import OutOfMemoryError, out_of_memory_explained, phase_of, refuse_too_large
from cogitate.apps.plan.computer.machine import machine_of_run, this_cpu, this_machine, unmeasured
from cogitate.apps.plan.computer.timing import SMALL_LLAMA, Sampled, Step, Timings, Update, measure, timed
from cogitate.apps.plan.factors import SHIPPED, read_factors
from cogitate.config import SupervisedConfig
from cogitate.costs.factors import NAMES, prior_factors
from cogitate.costs.hardware import GIB, Cluster
from cogitate.costs.shape import Shape
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError, DataError
from cogitate.model.config import TINY
from cogitate.model.transformer import Transformer
from cogitate.recipe.settings import PRESETS, load_recipe
from cogitate.train.learners.supervised import SupervisedLearner

OF_USERS = {"own", "smollm2", "r1_671b", "one_gpu", "eight_gpus"}  # recipes whose model or data are the user's
SHAPES = [Shape.from_config(config.to_dict()) for config in (TINY, SMALL_LLAMA)]
PEAK = {"float32": 1e11, "bfloat16": 5e11}


def made_up(factor: float, dtype: str = "float32") -> Timings:
    """Timings of a computer whose products are slower by this factor than the prior says, and all else as it says."""
    truth = prior_factors(PRIORS_OF_CPUS)
    truth = truth.with_values(matrix_efficiency=truth["matrix_efficiency"] / factor, decode_layer_us=500.0)
    cluster = Cluster(this_cpu(PEAK[dtype], 1e10), 1)
    steps = [Step(shape, rows, 256, "adamw", 1.0, dtype=dtype) for shape in SHAPES for rows in (4, 16, 64)]
    rollouts = [Sampled(shape, batch, 32, 1.0, dtype=dtype) for shape in SHAPES for batch in (4, 64)]
    updates = [Update(shape, 12, 8, 48, 1.0, dtype=dtype) for shape in SHAPES]
    steps = [replace(step, seconds=step_observation(step, cluster, "").figure(truth)) for step in steps]
    rollouts = [replace(one, seconds=rollout_observation(one, cluster, "").figure(truth)) for one in rollouts]
    updates = [replace(one, seconds=update_observation(one, cluster, "").figure(truth)) for one in updates]
    return Timings(PEAK, 1e10, 0.4 * GIB, steps, rollouts, updates)


def test_calibration_predicts_the_steps_it_was_fitted_on() -> None:
    timings = made_up(1.5)
    factors = fit_timings(timings)
    cluster = Cluster(this_cpu(timings.peak["float32"], timings.bandwidth), 1)
    for step in timings.steps:
        assert step_observation(step, cluster, "").figure(factors) == pytest.approx(step.seconds, rel=0.1)
    for one in timings.rollouts:
        assert rollout_observation(one, cluster, "").figure(factors) == pytest.approx(one.seconds, rel=0.1)
    for update in timings.updates:
        assert update_observation(update, cluster, "").figure(factors) == pytest.approx(update.seconds, rel=0.1)
    assert factors["decode_layer_us"] > 300
    counting = fit_timings(replace(timings, measured=60e-6))
    assert factors["measured_us"] == 20.0 < 50 < counting["measured_us"] < 60


def test_each_type_has_factors_of_its_own(tmp_path: Path) -> None:
    narrow, wide = made_up(3.0, "bfloat16"), made_up(1.0)
    both = replace(wide, steps=[*wide.steps, *narrow.steps], rollouts=[*wide.rollouts, *narrow.rollouts])
    assert both.dtypes == ["float32", "bfloat16"]
    fitted = {dtype: fit_timings(both, dtype) for dtype in both.dtypes}
    path = tmp_path / "plan.json"
    write_calibration(both, fitted["float32"], path, {"bfloat16": fitted["bfloat16"]})
    for dtype, factors in fitted.items():
        machine = this_machine(path, read_factors(), dtype)
        assert machine.factors.values == factors.values
        assert machine.cluster.gpu.peak == PEAK[dtype]
    assert fitted["bfloat16"]["matrix_efficiency"] < 0.7 * fitted["float32"]["matrix_efficiency"]


def test_peaks_are_fitted_from_what_the_process_had_before_and_updates_leave_holes() -> None:
    truth = prior_factors(PRIORS_OF_CPUS).with_values(holes=0.8, fixed_gib=5.0, inner_bytes=12.0)
    base = int(0.4 * GIB)
    update = Update(SHAPES[1], 24, 12, 40, 1.0, base, {1: 0, 8: 0})
    step, rollout = Step(SHAPES[1], 16, 256, "adamw", 1.0, base, 0), Sampled(SHAPES[1], 64, 48, 1.0, base, 0)
    figures = [int(each.figure(truth)) for each in memory_observations([step], [rollout], [update])]
    assert figures[3] - figures[2] > 0.4 * (figures[2] - base)  # after the first update and after eight
    assert all(base < figure < 5 * GIB for figure in figures)
    measured = ([replace(step, peak=figures[0])], [replace(rollout, peak=figures[1])])
    updates = [replace(update, peaks={1: figures[2], 8: figures[3]})]
    factors = fit_timings(replace(made_up(1.0), steps=measured[0], rollouts=measured[1], updates=updates))
    fitted = [each.figure(factors) for each in memory_observations(*measured, updates)]
    assert fitted == pytest.approx(figures, rel=0.05)


def test_what_takes_long_is_timed_in_fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 2))  # each look at the clock is two seconds later
    monkeypatch.setattr("cogitate.apps.plan.computer.timing.time.perf_counter", lambda: next(clock))
    calls: list[int] = []
    assert timed(lambda: calls.append(1), 5) == [2, 2]  # four seconds, after one round that warms up
    assert len(calls) == 3


def test_a_calibration_is_read_where_a_plan_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not this_machine(None, read_factors()).is_measured
    timings = made_up(1.0)
    write_calibration(timings, fit_timings(timings), tmp_path / "cogitate" / "plan.json")
    machine = this_machine(None, read_factors(), "bfloat16")
    assert machine.is_measured
    assert machine.cluster.gpu.peak == 5e11
    with pytest.raises(DataError, match="has no figures of a machine; make it by `cogitate plan --calibrate`"):
        this_machine(SHIPPED, read_factors())


def test_factors_of_another_version_are_refused(tmp_path: Path) -> None:
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    path = tmp_path / "old.json"
    path.write_text(json.dumps({**content, "names": content["names"][1:]}), encoding="utf-8")
    with pytest.raises(DataError, match="another version of the planner"):
        read_factors(path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="no file of the planner's factors"):
        read_factors(path)
    for key, value, message in (
        ("values", {**content["values"], "flash3": 0}, r"values\.flash3 = 0\.0: a factor is above 0"),
        ("residuals", {"step": -1}, r"residuals\.step = -1\.0: a deviation is 0 or more"),
        ("covariance", [[1.0]], f"covariance: needs {len(NAMES)} rows of {len(NAMES)} numbers"),
    ):
        path.write_text(json.dumps({**content, key: value}), encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read_factors(path)


def test_a_calibration_of_another_version_does_not_stop_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "cogitate").mkdir()
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    old = {**content, "names": content["names"][1:]}
    (tmp_path / "cogitate" / "plan.json").write_text(json.dumps(old), encoding="utf-8")
    refuse_too_large(load_recipe("tiny", ["runtime.device=cpu"]))
    assert not machine_of_run("float32").is_measured


@pytest.mark.slow
def test_everything_that_is_measured_takes_some_time() -> None:
    lines: list[str] = []
    timings = measure(
        lines.append, rounds=1, share=0.02, steps=[(SMALL_LLAMA, 4, 32, "muon")], rollouts=[(SMALL_LLAMA, 8, 8)],
        updates=[(SMALL_LLAMA, 2, 4, 8)], update_rounds=1, dtypes=("float32", "bfloat16"),
    )  # fmt: skip
    parts: list[Sequence[Step | Sampled | Update]] = [timings.steps, timings.rollouts, timings.updates]
    assert [[one.seconds > 0 for one in part] for part in parts] == [[True, True]] * 3
    assert len(lines) == 2 + sum(map(len, parts))
    assert timings.measured is not None
    assert 1e-7 < timings.measured < 1e-2
    for dtype in timings.dtypes:
        assert fit_timings(timings, dtype)["matrix_efficiency"] > 0
    if sys.platform.startswith("linux"):
        peaks = [step.peak for step in timings.steps] + [one.peak for one in timings.rollouts]
        assert all(peak is not None and peak > 1e7 for peak in peaks)
        assert all([*one.peaks] == [1, 2] and (one.base or 0) < one.peaks[1] <= one.peaks[2] for one in timings.updates)


def small_machine(gib: float) -> Cluster:
    return Cluster(replace(this_cpu(), memory=gib * GIB), 1)


def test_a_recipe_that_cannot_fit_is_refused_with_the_term_and_what_helps(tmp_path: Path) -> None:
    config = load_recipe("tiny", ["runtime.device=cpu"])
    machine = replace(unmeasured(read_factors(), "float32"), cluster=small_machine(0.1))
    with pytest.raises(ConfigError, match=r"stage base does not fit this computer: .* most of it is .*; --force goes on"):
        refuse_too_large(config, machine=machine)
    refuse_too_large(config, machine=replace(machine, cluster=small_machine(24)))
    refuse_too_large(
        config.model_copy(update={"runtime": config.runtime.model_copy(update={"device": "cuda"})}), machine=machine
    )


@pytest.mark.parametrize("recipe", sorted({path.stem for path in PRESETS.glob("*.toml")} - OF_USERS))
def test_no_shipped_recipe_is_refused_on_eight_gib(recipe: str) -> None:
    machine = replace(unmeasured(read_factors(), "float32"), cluster=small_machine(8))
    refuse_too_large(load_recipe(recipe), machine=machine)


def test_running_out_of_memory_names_the_phase_it_happened_in() -> None:
    class Greedy:
        """Stands where a generator expects the model it asks for its configuration."""

        def __getattr__(self, name: str) -> object:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    cases: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: Engine(cast(Transformer, Greedy()), end_id=[], max_batch=4), "generation"),
        (lambda: SupervisedLearner(cast(Transformer, Greedy()), SupervisedConfig()), "training"),
        (lambda: Greedy().anything, ""),
    )
    for make, phase in cases:
        with pytest.raises(RuntimeError) as error:
            make()
        assert phase_of(error.value) == phase


def test_running_out_of_memory_names_the_stage_and_what_its_plan_said(tmp_path: Path) -> None:
    failure = {"schema": 1, "stage": "r1_zero", "error": "x", "place": ""}
    (tmp_path / "failure.json").write_text(json.dumps(failure), encoding="utf-8")
    config = load_recipe("tiny")
    with (
        pytest.raises(OutOfMemoryError, match=r"out of memory in r1_zero: .*can't allocate memory.*; by the plan, \w+ needs"),
        out_of_memory_explained(config, tmp_path),
    ):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
    with pytest.raises(RuntimeError, match="something else"), out_of_memory_explained(config, tmp_path):
        raise RuntimeError("something else")
