"""`cogitate plan RECIPE --against RUN`: every stage of a run that was made on this computer, planned with the numbers of tokens
that the run measured, beside what it took. The test of a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.apps.overview import table
from cogitate.apps.plan.computer.machine import Machine
from cogitate.apps.plan.measured import read_measured
from cogitate.apps.plan.recipe_plan import time_text
from cogitate.apps.plan.stage_cost import cost_of
from cogitate.apps.plan.workloads import works_of
from cogitate.apps.report.words import write_seconds
from cogitate.config import Config
from cogitate.costs.hardware import GIB
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.run_directory.planned import Compared, PlannedStage, compared_stage

SHORT = 20.0  # seconds below which a stage is mostly its start


@dataclass(frozen=True, slots=True)
class Against:
    """A run beside its plan, the stages with the largest error in time first.

    Attributes:
        left_out: stages that are not compared -> why.
    """

    rows: Sequence[Compared]
    left_out: dict[str, str]

    def text(self) -> str:
        lines = [["stage", "took", "plan", "error", "GiB", "plan", "error", "within"]]
        lines += [stage_cells(row) for row in self.rows]
        shown = table(lines)
        long = [row for row in self.rows if row.seconds >= SHORT]
        told = [f"of {len(long)} stages of {SHORT:.0f} s or more, {counted(long)}", "Intervals should hold eight of ten."]
        by_reason: dict[str, list[str]] = {}
        for name, why in self.left_out.items():
            by_reason.setdefault(why, []).append(name)
        left = [f"not compared, {why}: {', '.join(names)}" for why, names in by_reason.items()]
        return "\n".join([*shown, "", *told, *left])

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, "stages": [row_json(row) for row in self.rows], "left_out": self.left_out}


def against(config: Config, run: Path, machine: Machine) -> Against:
    """Compare every finished stage of a run.

    Raises:
        ConfigError: `run` is no run directory, or none of its finished stages is one of the recipe that is planned.
        DataError: a file of it is damaged.
    """
    measured, graph = read_measured(run, option="--against", has_counts=True), graph_of(config)
    rows, left = list[Compared](), dict[str, str]()
    for work in works_of(graph, config, measured=measured):
        name = work.stage.name
        cost = cost_of(work, machine.cluster, machine.factors, config.runtime)
        if cost.seconds is None or cost.memory is None:
            left[name] = "; ".join(work.notes)
        elif (row := compared_stage(run, name, PlannedStage(cost.seconds, cost.memory))) is None:
            left[name] = "not finished in the run, or shipped with the package"
        else:
            rows.append(row)
    if not rows:
        raise ConfigError(f"--against {run}: no finished stage of this recipe is there; give a run of the same recipe")
    return Against(sorted(rows, key=lambda row: -abs(time_error(row))), left)


def time_error(row: Compared) -> float:
    """Planned over measured, less one."""
    return row.plan.seconds.value / row.seconds - 1 if row.seconds else 0.0


def memory_error(row: Compared) -> float | None:
    return row.plan.memory.value / row.peak - 1 if row.peak else None


def stage_cells(row: Compared) -> list[str]:
    error = memory_error(row)
    is_within = row.plan.seconds.low <= row.seconds <= row.plan.seconds.high
    return [
        row.stage, write_seconds(row.seconds), time_text(row.plan.seconds), f"{100 * time_error(row):+.0f} %",
        "" if row.peak is None else f"{row.peak / GIB:.2f}", f"{row.plan.memory.value / GIB:.2f}",
        "not measured" if error is None else f"{100 * error:+.0f} %", "yes" if is_within else "no",
    ]  # fmt: skip


def counted(rows: Sequence[Compared]) -> str:
    """How many are within the bounds that a calibration should keep."""
    in_time = sum(abs(time_error(row)) <= 0.2 for row in rows)
    errors = [error for row in rows if (error := memory_error(row)) is not None]
    memory = f", {sum(abs(error) <= 0.1 for error in errors)} of {len(errors)} within 10 % of their memory" if errors else ""
    return f"{in_time} are within 20 % of their time{memory}"


def row_json(row: Compared) -> dict[str, Any]:
    return {
        "stage": row.stage,
        "seconds": row.seconds,
        "planned_seconds": row.plan.seconds.as_json(),
        "time_error": time_error(row),
        "peak_memory_bytes": row.peak,
        "planned_memory_bytes": row.plan.memory.as_json(),
        "memory_error": memory_error(row),
    }
