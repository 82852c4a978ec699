"""A run beside its plan: what each stage should take on this computer, written when the run begins; what each took, said when
it is finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cogitate.apps.plan.computer.guard import runs_on_processors
from cogitate.apps.plan.computer.machine import default_calibration, this_machine
from cogitate.apps.plan.factors import SHIPPED as SHIPPED_FACTORS
from cogitate.apps.plan.factors import read_factors
from cogitate.apps.plan.recipe_plan import added, time_text
from cogitate.apps.plan.stage_cost import cost_of
from cogitate.apps.plan.workloads.works import works_of
from cogitate.apps.report.words import write_seconds
from cogitate.config import Config
from cogitate.costs.hardware import GIB
from cogitate.errors import CogitateError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.run_directory.planned import PLAN, Compared, PlannedStage, compared_stage, write_planned
from cogitate.recipe.run_directory.store import MANIFEST, shipped_editions


class BesidePlan:
    """Watches a run (a recipe.progress.Progress): writes plan.json, and says of each finished stage how the plan did. When a
    probe has proposed settings, what comes after it is planned anew.

    On a computer that was not calibrated, and on accelerators, there is no plan and nothing is said.

    Args:
        say: where lines for a person go.
        retrain: stages that are made although an artifact of theirs is shipped.
    """

    def __init__(self, out: Path, config: Config, say: Callable[[str], None], retrain: Sequence[str] = ()):
        self.out, self.config, self.tell, self.retrain = out, config, say, retrain
        self.stages: Sequence[str] = ()
        self.waiting: dict[str, PlannedStage] = {}
        self.probes = {stage.name for stage in graph_of(config) if stage.kind.makes == "proposal"}

    def run_begins(self, stages: Sequence[str]) -> None:
        self.stages = stages
        self.try_to_plan()

    def try_to_plan(self) -> None:
        try:
            self.plan()
        except CogitateError as error:
            self.tell(f"no plan of this run: {error}")
        except Exception as error:  # noqa: BLE001 a fault of the plan must not cost the run, which does not need it
            self.tell(f"no plan of this run: {type(error).__name__}: {error}")

    def plan(self) -> None:
        (self.out / PLAN).unlink(missing_ok=True)  # of an earlier start
        if not default_calibration().is_file() or not runs_on_processors(self.config):
            return
        machine, planned, unknown = planned_stages(self.config, self.retrain, self.out)
        write_planned(self.out, machine, planned)
        to_come = [name for name in self.stages if not self.is_finished(name)]
        self.waiting = {name: planned[name] for name in to_come if name in planned}
        if self.waiting:
            whole = added([each.seconds for each in self.waiting.values()])
            without = [name for name in to_come if name in unknown]
            told = f"by the plan, {len(self.waiting)} stages take {time_text(whole)} on {machine}"
            self.tell(told + (f"; not planned: {', '.join(without)}" if without else ""))

    def is_finished(self, stage: str) -> bool:
        return (self.out / stage / MANIFEST).is_file()

    def say_what_finished(self) -> None:
        finished = [name for name in self.waiting if self.is_finished(name)]
        for name in finished:
            row = compared_stage(self.out, name, self.waiting.pop(name))
            if row is not None:
                self.tell(compared_text(row))
        if self.probes.intersection(finished):
            self.try_to_plan()

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        self.say_what_finished()

    def row(self, stage: str, row: dict[str, Any]) -> None:
        pass

    def stage_ends(self, stage: str) -> None:
        pass  # the stage is not sealed yet

    def say(self, line: str) -> None:
        self.say_what_finished()  # a run says that a stage is finished when it has its name


def planned_stages(
    config: Config, retrain: Sequence[str] = (), run: Path | None = None
) -> tuple[str, dict[str, PlannedStage], dict[str, str]]:
    """This computer's name; every stage that a run of these settings makes, as its calibration says; those that no plan knows,
    with the reason.

    Args:
        run: its directory, in which probes may have proposed settings.
    """
    machine, graph = this_machine(None, read_factors(SHIPPED_FACTORS), config.runtime.dtype), graph_of(config)
    # A run takes what is shipped wherever it is the recipe's, and refuses to begin where it is not.
    shipped = {
        stage.name: "shipped"
        for stage in graph
        if stage.kind.may_be_shipped and stage.name not in retrain and shipped_editions(stage.name)
    }
    works = works_of(graph, config, there=shipped, run=run)
    costs = [cost_of(work, machine.cluster, machine.factors, config.runtime) for work in works]
    found = {
        cost.name: PlannedStage(cost.seconds, cost.memory)
        for cost in costs
        if cost.seconds is not None and cost.memory is not None
    }
    return machine.cluster.gpu.name, found, {work.stage.name: work.not_planned for work in works if work.not_planned}


def compared_text(row: Compared) -> str:
    """`r1_zero: 2 min 8 s, planned 2 min 30 s (-15 %); 0.83 GiB, planned 0.91 (-9 %)`."""
    planned, memory = row.plan.seconds.value, row.plan.memory.value
    text = f"{row.stage}: {write_seconds(row.seconds)}, planned {write_seconds(planned)} ({error_text(row.seconds, planned)})"
    if row.peak is None:
        return text
    return f"{text}; {row.peak / GIB:.2f} GiB, planned {memory / GIB:.2f} ({error_text(row.peak, memory)})"


def error_text(measured: float, planned: float) -> str:
    """How much more or less was measured than planned."""
    return f"{100 * (measured / planned - 1):+.0f} %" if planned else "planned as nothing"
