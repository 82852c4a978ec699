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
from cogitate.apps.plan.workloads.works import works_of
from cogitate.apps.report.words import write_seconds
from cogitate.config import Config
from cogitate.costs.hardware import GIB
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.run_directory.changes import changed_settings
from cogitate.recipe.run_directory.failed_start import CONFIG
from cogitate.recipe.run_directory.planned import Compared, PlannedStage, compared_stage
from cogitate.recipe.run_directory.store import is_shipped_copy

SHORT = 20.0  # seconds below which a stage is mostly its start
NOT_MADE = "not finished in the run, or shipped with the package"
WITHOUT_EFFECT = ("tracking", "rewards.workers")  # on what a plan says
DISTURBED = 0.1  # processors of others from which on a line names them
TIME_BAR, MEMORY_BAR = 0.2, 0.1  # errors that a calibration should keep within


@dataclass(frozen=True, slots=True)
class Against:
    """A run beside its plan, the stages with the largest error in time first.

    Attributes:
        left_out: stages that are not compared -> why.
    """

    rows: Sequence[Compared]
    left_out: dict[str, str]

    def text(self) -> str:
        of_time, of_memory = f"within {100 * TIME_BAR:.0f} %", f"within {100 * MEMORY_BAR:.0f} %"
        head = ["stage", "planned", "measured", "ratio", of_time, "GiB planned", "measured", "ratio", of_memory]
        shown = table([head, *(stage_cells(row) for row in self.rows)])
        long = [row for row in self.rows if row.seconds >= SHORT]
        told = [
            f"ratio: planned over measured; of {len(long)} stages of {SHORT:.0f} s or more, {counted(long)}",
            "Intervals should hold eight of ten; they stand in brackets.",
            *disturbed(self.rows),
        ]
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
        ConfigError: `run` is no run directory, is of another recipe or other settings, or none of its stages is finished.
        DataError: a file of it is damaged.
    """
    measured, graph = read_measured(run, option="--against", has_counts=True), graph_of(config)
    refuse_another_recipe(config, run)
    rows, left = list[Compared](), dict[str, str]()
    shipped = {stage.name: NOT_MADE for stage in graph if is_shipped_copy(run / stage.name)}
    for work in works_of(graph, config, measured=measured, there=shipped, run=run):
        name = work.stage.name
        cost = cost_of(work, machine.cluster, machine.factors, config.runtime)
        if cost.seconds is None or cost.memory is None:
            left[name] = "; ".join(work.notes) or "nothing to do"
        elif (row := compared_stage(run, name, PlannedStage(cost.seconds, cost.memory))) is None:
            left[name] = NOT_MADE
        else:
            rows.append(row)
    if not rows:
        why = "; ".join(f"{name}: {why}" for name, why in left.items())
        raise ConfigError(f"--against {run}: no finished stage is there that was made in it ({why[:200]})")
    return Against(sorted(rows, key=lambda row: -abs(time_error(row))), left)


def refuse_another_recipe(config: Config, run: Path) -> None:
    """Refuse a run of other settings, whose stages may have the same names and other work."""
    if not (run / CONFIG).is_file():
        raise ConfigError(f"--against {run}: holds no {CONFIG}; give the directory of a run that has been made")
    try:
        changed = {key: line for key, line in changed_settings(run, config).items() if key not in WITHOUT_EFFECT}
    except ConfigError as error:
        raise ConfigError(f"--against {str(error).removesuffix(': use another --out')}: give the recipe of that run") from error
    if changed:
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise ConfigError(f"--against {run}: was made with {next(iter(changed.values()))}{more}: give the settings of that run")


def time_error(row: Compared) -> float:
    """Planned over measured, less one."""
    return row.plan.seconds.value / row.seconds - 1 if row.seconds else 0.0


def memory_error(row: Compared) -> float | None:
    return row.plan.memory.value / row.peak - 1 if row.peak else None


def stage_cells(row: Compared) -> list[str]:
    """A stage's row; one that is mostly its start has no bar for its time."""
    error = memory_error(row)
    in_time = inside(time_error(row), TIME_BAR) if row.seconds >= SHORT else "short"
    cells = [row.stage, time_text(row.plan.seconds), write_seconds(row.seconds), f"{1 + time_error(row):.2f}", in_time]
    cells.append(f"{row.plan.memory.value / GIB:.2f}")
    if row.peak is None or error is None:
        return [*cells, "not measured", "", ""]
    return [*cells, f"{row.peak / GIB:.2f}", f"{1 + error:.2f}", inside(error, MEMORY_BAR)]


def inside(error: float, bar: float) -> str:
    return "inside" if abs(error) <= bar else "outside"


def counted(rows: Sequence[Compared]) -> str:
    """How many are within the bounds that a calibration should keep."""
    in_time = sum(abs(time_error(row)) <= TIME_BAR for row in rows)
    errors = [error for row in rows if (error := memory_error(row)) is not None]
    memory = (
        f", {sum(abs(error) <= MEMORY_BAR for error in errors)} of {len(errors)} within 10 % of their memory" if errors else ""
    )
    return f"{in_time} are within 20 % of their time{memory}"


def disturbed(rows: Sequence[Compared]) -> list[str]:
    """A line of the stages beside which other programs were at work: their times say less of the plan."""
    found = [f"{row.stage} ({row.others:.1f})" for row in rows if row.others is not None and row.others >= DISTURBED]
    return [f"other programs kept processors busy, so that these took longer: {', '.join(found)}"] if found else []


def row_json(row: Compared) -> dict[str, Any]:
    return {
        "stage": row.stage,
        "seconds": row.seconds,
        "planned_seconds": row.plan.seconds.as_json(),
        "time_error": time_error(row),
        "time_within_bar": abs(time_error(row)) <= TIME_BAR if row.seconds >= SHORT else None,
        "peak_memory_bytes": row.peak,
        "planned_memory_bytes": row.plan.memory.as_json(),
        "memory_error": memory_error(row),
        "processors_of_others": row.others,
        "memory_within_bar": None if (error := memory_error(row)) is None else abs(error) <= MEMORY_BAR,
    }
