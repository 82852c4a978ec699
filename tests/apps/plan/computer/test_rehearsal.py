"""A recipe in small: what it measures is found again in the factors."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cogitate.apps.plan.computer import rehearsal as in_small
from cogitate.apps.plan.computer.calibrate import (
    ALONE,
    PRIORS_OF_CPUS,
    fit_timings,
    stage_memory,
    stage_seconds,
    write_calibration,
)
from cogitate.apps.plan.computer.machine import this_cpu
from cogitate.apps.plan.computer.rehearsal import RECIPE, SMALL, Rehearsal, Rehearsed, read_rehearsed
from cogitate.apps.plan.computer.timing import Timings
from cogitate.apps.plan.stage_cost import memories_of, seconds_of
from cogitate.apps.plan.workloads.works import works_of
from cogitate.costs.factors import Factors, prior_factors
from cogitate.costs.hardware import GIB, Cluster
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import load_recipe

SHIPPED = ("base", "student_base_llama", "student_base_qwen")
RL_ROW = {"completion_tokens": 40, "tokens_generated": 40 * 288, "dead_groups": 0.0, "tokens_trained": 288 * 120}
PEAK, BANDWIDTH = 1e11, 1e10
CLUSTER = Cluster(this_cpu(PEAK, BANDWIDTH), 1)
TRUTH = prior_factors(PRIORS_OF_CPUS).with_values(stage_seconds=5.0, rl_slowdown=1.5, fixed_gib=0.5, stage_growth_mib=90.0)


def made_up() -> Rehearsal:
    """What a computer would measure on which the formulas with TRUTH hold exactly."""
    config = load_recipe(RECIPE, SMALL)
    graph = graph_of(config)
    shipped = {stage.name: "shipped" for stage in graph if stage.name in SHIPPED}
    works = [work for work in works_of(graph, config, there=shipped) if work.works]
    stages = []
    for work in works:
        seconds = stage_seconds(work, CLUSTER, config.runtime, TRUTH)
        peak = int(stage_memory(work, CLUSTER, config.runtime, TRUTH))
        stages.append(Rehearsed(work, seconds, peak))
    return Rehearsal(config, stages)


def ratios(rehearsal: Rehearsal, factors: Factors) -> list[float]:
    """Planned over measured, in time and in memory, of every stage."""
    runtime = rehearsal.config.runtime
    return [
        ratio
        for each in rehearsal.stages
        for ratio in (
            stage_seconds(each.work, CLUSTER, runtime, factors) / each.seconds,
            stage_memory(each.work, CLUSTER, runtime, factors) / (each.peak or 1),
        )
    ]


def test_stages_in_small_are_planned_as_they_were_measured() -> None:
    rehearsal = made_up()
    timings = Timings({"float32": PEAK}, BANDWIDTH, 0.4 * GIB, [], [], [])
    factors = fit_timings(timings, rehearsal=rehearsal)
    assert ratios(rehearsal, prior_factors(PRIORS_OF_CPUS)) != pytest.approx([1.0] * 2 * len(rehearsal.stages), rel=0.2)
    assert ratios(rehearsal, factors) == pytest.approx([1.0] * 2 * len(rehearsal.stages), rel=0.1)
    assert factors["stage_seconds"] > 3
    assert factors["stage_growth_mib"] > 60


def test_the_recipe_in_small_runs_this_package_whatever_lies_in_the_directory_and_says_why_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise RuntimeError('a file of the user')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_small, "SMALL", ("r1_zero.nonsense=3",))
    with pytest.raises(ConfigError, match=r"--calibrate: the recipe in small failed: error: .*nonsense"):
        in_small.rehearse(lambda line: None)


def test_a_stage_takes_its_start_and_a_process_grows_from_stage_to_stage() -> None:
    rehearsal = made_up()
    work, runtime = rehearsal.stages[1].work, rehearsal.config.runtime
    longer = TRUTH.with_values(stage_seconds=TRUTH["stage_seconds"] + 7.0)
    two = [seconds_of(work, ALONE, CLUSTER, factors, runtime)[0] for factors in (TRUTH, longer)]
    assert two[1] - two[0] == pytest.approx(7.0)
    later = replace(work, earlier=work.earlier + 10)
    sizes = [memories_of(each, ALONE, CLUSTER, TRUTH, runtime)["training"].total for each in (work, later)]
    grown = math.log(1 + later.earlier) - math.log(1 + work.earlier)
    assert sizes[1] - sizes[0] == pytest.approx(grown * 90.0 * 2**20)
    assert [each.work.earlier for each in rehearsal.stages] == list(range(len(rehearsal.stages)))


def test_what_a_run_in_small_has_made_is_read_and_written(tmp_path: Path) -> None:
    rows: dict[str, list[dict[str, Any]]] = {"r1_zero": [RL_ROW] * 4, "r1_dev1": [{"loss": 1.0}] * 9}
    for name, steps in rows.items():
        (tmp_path / name).mkdir()
        lines = "".join(json.dumps({"step": step, **row}) + "\n" for step, row in enumerate(steps))
        (tmp_path / name / "metrics.jsonl").write_text(lines, encoding="utf-8")
        facts = {"stage": name, "seconds": 20.0, "peak_memory_bytes": 2**30}
        (tmp_path / name / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")
    said: list[str] = []
    found = read_rehearsed(tmp_path, said.append)
    assert [each.work.stage.name for each in found.stages] == ["r1_zero", "r1_dev1"]
    assert [each.work.works[0].steps for each in found.stages] == [4, 9]
    assert said == ["r1_zero in small: 20.0 s", "r1_dev1 in small: 20.0 s"]
    timings = Timings({"float32": PEAK}, BANDWIDTH, 0.4 * GIB, [], [], [])
    path = tmp_path / "plan.json"
    write_calibration(timings, fit_timings(timings, rehearsal=found), path, rehearsal=found)
    measured = json.loads(path.read_text(encoding="utf-8"))["measured"]
    assert measured["stages"]["r1_dev1"] == {"seconds": 20.0, "peak": 2**30}
