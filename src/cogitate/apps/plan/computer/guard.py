"""A recipe that cannot fit into this computer's memory is refused; of one that ran out of it, what its plan said."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import cogitate
from cogitate.apps.plan.computer.machine import Machine, machine_of_run
from cogitate.apps.plan.recipe_plan import hint_of
from cogitate.apps.plan.stage_cost import StageCost, best_layout, cost_of
from cogitate.apps.plan.workloads.works import works_of
from cogitate.config import Config
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of, select
from cogitate.recipe.run_directory.failure import read_failure

PHASES = {  # room of this package -> what it does, the innermost one that was at work counts
    "engine": "generation",
    "rewards": "grading",
    "train/learners": "training",
    "train/optimisers": "training",
    "train/rows/packing.py": "packing",
    "train/checkpoint.py": "saving a checkpoint",
    "model/files": "loading or saving a model",
    "evals": "evaluation",
    "tasks": "making problems",
    "tokenizer": "reading text",
}
PACKAGE = Path(cogitate.__file__).parent


class OutOfMemoryError(ConfigError):
    """Memory ran out in a stage; the message says in which and in which phase of it, and what its plan said."""


def refuse_too_large(
    config: Config, *, only: str | None = None, until: str | None = None, machine: Machine | None = None
) -> None:
    """Refuse a recipe of which a stage that is asked for needs more memory than there is, even at its interval's lower end.

    Only the memory of processors is known: with an accelerator nothing is refused.

    Raises:
        ConfigError: names the stage, the term that is too large and the setting that helps.
    """
    if not runs_on_processors(config):
        return
    graph = graph_of(config)
    wanted = [stage.name for stage in select(graph, only=only, until=until, given=config.inputs)]
    found = first_too_large(config, wanted, machine or machine_of_run(config.runtime.dtype))
    if found is not None:
        raise ConfigError(f"stage {found.name} does not fit this computer: {hint_of(found)}; --force goes on all the same")


def first_too_large(config: Config, wanted: Collection[str], machine: Machine) -> StageCost | None:
    """The first of these stages that cannot fit."""
    try:
        works = works_of(graph_of(config), config)
    except ConfigError:  # a model that is fetched later, or of a family whose costs are not known: nothing can be said
        return None
    for work in works:
        if work.stage.name not in wanted or not work.works:
            continue
        missing, _, layout = best_layout(work, machine.cluster, machine.factors, config.runtime)
        if missing:  # else no interval is needed
            cost = cost_of(work, machine.cluster, machine.factors, config.runtime, layout)
            if cost.fits == "no":
                return cost
    return None


@contextmanager
def out_of_memory_explained(config: Config, out: Path) -> Iterator[None]:
    """Turn an exception that means that memory ran out into one line: the stage, and what its plan said.

    Raises:
        OutOfMemoryError: in place of such an exception; others pass.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(explanation(error, config, out)) from error


def explanation(error: BaseException, config: Config, out: Path) -> str:
    failure = read_failure(out)
    stage = failure.stage if failure is not None else "the run"
    place = ", in ".join(filter(None, (stage, phase_of(error))))
    said = f"out of memory in {place}: {' '.join(str(error).split())[:200] or type(error).__name__}"
    machine = machine_of_run(config.runtime.dtype)
    try:
        works = works_of(graph_of(config), config)
    except ConfigError:  # as above: then there was no plan
        return said
    for work in works:
        if work.stage.name == stage and work.works:
            cost = cost_of(work, machine.cluster, machine.factors, config.runtime)
            return f"{said}; by the plan, {hint_of(cost)}"
    return said


def phase_of(error: BaseException) -> str:
    """What was done when an exception was raised, by the rooms of this package that its traceback goes through; "" of none."""
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            place = path.relative_to(PACKAGE).as_posix()
            found = next((phase for room, phase in PHASES.items() if place == room or place.startswith(f"{room}/")), found)
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had, whichever library asked."""
    words = ("out of memory", "can't allocate memory", "Cannot allocate memory", "bad_alloc")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def runs_on_processors(config: Config) -> bool:
    """Whether a run of these settings computes on this computer's processors, which a plan without --gpus is of."""
    has_accelerator = any(Path("/proc/driver/nvidia").glob("gpus/*"))
    return config.runtime.device == "cpu" or (config.runtime.device == "auto" and not has_accelerator)
