"""The processes of a run on a cluster: how many, what each gets, and the most memory that each needs."""

from __future__ import annotations

from collections.abc import Collection

from cogitate.apps.plan.computer.machine import this_machine
from cogitate.apps.plan.factors import read_factors
from cogitate.apps.plan.stage_cost import memories_of
from cogitate.apps.plan.workloads import works_of
from cogitate.config import Config
from cogitate.costs.layout import Layout
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of

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
    driver, generator = memory_by_process(config, stages)
    where = f"a node of {settings.address}" if settings.address else "this machine"
    rows = [
        ["driver", "this machine", f"learners, {config.rewards.workers} grading processes beside it", text_of(driver)],
        [
            f"{settings.generators} generators", where, f"{settings.generator_cpus} CPU each",
            f"{text_of(generator)}{' each' if generator else ''}",
        ],
    ]  # fmt: skip
    if not settings.address:
        rows.append(["Ray", where, "for this run, on loopback", f"{settings.object_store} MiB of shared memory at most"])
    return rows


def memory_by_process(config: Config, stages: Collection[str]) -> tuple[tuple[float, str] | None, tuple[float, str] | None]:
    """The most bytes of the driver and of a generator, each with the stage; None where nothing can be said."""
    machine = this_machine(None, read_factors(), config.runtime.dtype)
    try:
        works = works_of(graph_of(config), config)
    except ConfigError:  # a model that is fetched later, or of a family whose costs are not known
        return None, None
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
            else:
                driver.append((memory.total, work.stage.name))
    return max(driver, default=None), max(generator, default=None)


def text_of(memory: tuple[float, str] | None) -> str:
    return f"about {memory[0] / GIB:.1f} GiB in {memory[1]}" if memory else "memory unknown"
