"""The processes of a run on a cluster: how many, what each gets, and the most memory that each needs."""

from __future__ import annotations

import math
from collections.abc import Collection

from cogitate.apps.plan.computer.machine import Machine, machine_of_run
from cogitate.apps.plan.stage_cost import memories_of
from cogitate.apps.plan.workloads.works import works_of
from cogitate.config import Config
from cogitate.costs.factors import Z_OF_INTERVAL
from cogitate.costs.layout import Layout
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of, select

GIB = 2**30
OF_THE_DRIVER = ("states of training", "models that score")  # terms of generation that are not in a generator's process


def process_lines(config: Config, stages: Collection[str]) -> list[list[str]]:
    """A row for each kind of process: what it is, its resources, and its memory in the stage that needs most; none of a run
    without a cluster.

    Args:
        stages: those that have to be made.
    """
    settings = config.cluster
    if config.runtime.backend != "ray":
        return []
    (driver, generator), trainer = memory_by_process(config, stages), memory_of_trainer(config, stages)
    where = f"a node of {settings.address}" if settings.address else "this machine"
    of_generator = f"{text_of(generator)}{' each' if generator else ''}"
    if settings.engine == "vllm":
        of_generator = f"weights, {settings.kv_cache} GiB for keys and values, and vLLM itself, each"
    rows = [
        [
            "driver", "this machine",
            f"{'' if settings.trainers else 'learners, '}{config.rewards.workers} grading processes beside it", text_of(driver),
        ],
        [f"{settings.generators} generators", where, f"{settings.generator_cpus} CPU each", of_generator],
    ]  # fmt: skip
    if settings.graders:
        rows.append(["graders", f"each further node of {settings.address}", f"{settings.graders} grading processes", ""])
    if settings.trainers:
        cpus = f"{settings.trainer_cpus} CPU each"
        rows.append([f"{settings.trainers} trainers", "this machine", cpus, f"{text_of(trainer)}{' each' if trainer else ''}"])
    if not settings.address:
        rows.append(["Ray", where, "for this run, on loopback", f"{settings.object_store} MiB of shared memory at most"])
    return rows


def refuse_too_many(
    config: Config, *, only: str | None = None, until: str | None = None, machine: Machine | None = None
) -> None:
    """Refuse a cluster on this machine alone whose processes need more memory together than there is, even at the lower end of
    what is known of it.

    Raises:
        ConfigError: says what needs how much.
    """
    settings = config.cluster
    if config.runtime.backend != "ray" or settings.address:
        return
    machine = machine or machine_of_run(config.runtime.dtype)
    wanted = [stage.name for stage in select(graph_of(config), only=only, until=until, given=config.inputs)]
    driver, generator = memory_by_process(config, wanted, machine)
    if generator is None:
        return
    low = math.exp(-Z_OF_INTERVAL * machine.factors.residuals.get("memory", 0.0))
    trainer = memory_of_trainer(config, wanted, machine)
    planned = (driver[0] if driver else 0.0) + settings.generators * generator[0]
    planned += settings.trainers * (trainer[0] if trainer else 0.0)
    needed, there = low * planned + (settings.object_store << 20), machine.cluster.gpu.memory
    if needed > there:
        raise ConfigError(
            f"{settings.generators} generators do not fit this computer: the driver needs {text_of(driver)}, each generator "
            f"{text_of(generator)}, {f'each of {settings.trainers} trainers {text_of(trainer)}, ' if settings.trainers else ''}"
            f"Ray {settings.object_store} MiB of shared memory, and there are {there / GIB:.1f} GiB: "
            "lower cluster.generators; --force goes on all the same"
        )


def memory_by_process(
    config: Config, stages: Collection[str], machine: Machine | None = None
) -> tuple[tuple[float, str] | None, tuple[float, str] | None]:
    """The most bytes of the driver and of a generator, each with the stage; None where nothing can be said."""
    machine = machine or machine_of_run(config.runtime.dtype)
    try:
        works = works_of(graph_of(config), config)
    except ConfigError:  # a model that is fetched later, or of a family whose costs are not known
        return None, None
    elsewhere = ("training", "transfer") if config.cluster.trainers else ()
    driver: list[tuple[float, str]] = []
    generator: list[tuple[float, str]] = []
    for work in works:
        if work.stage.name not in stages or not work.works:
            continue
        found = memories_of(work, Layout(1, sharding="none"), machine.cluster, machine.factors, config.runtime)
        for phase, memory in found.items():
            if phase == "generation":
                own = sum(value for term, value in memory.terms.items() if term not in OF_THE_DRIVER)
                generator.append((own, work.stage.name))
            elif phase not in elsewhere:
                driver.append((memory.total, work.stage.name))
    return max(driver, default=None), max(generator, default=None)


def memory_of_trainer(config: Config, stages: Collection[str], machine: Machine | None = None) -> tuple[float, str] | None:
    """The most bytes of a trainer, with the stage; None where there is none or nothing can be said."""
    trainers = config.cluster.trainers
    machine = machine or machine_of_run(config.runtime.dtype)
    try:
        works = works_of(graph_of(config), config) if trainers else []
    except ConfigError:
        return None
    layout = Layout(trainers, sharding="full" if trainers > 1 else "none")
    made = [work for work in works if work.stage.name in stages and work.works]
    found = [(memories_of(work, layout, machine.cluster, machine.factors, config.runtime), work.stage.name) for work in made]
    return max(((memory["training"].total, stage) for memory, stage in found if "training" in memory), default=None)


def text_of(memory: tuple[float, str] | None) -> str:
    return f"about {memory[0] / GIB:.1f} GiB in {memory[1]}" if memory else "memory unknown"
