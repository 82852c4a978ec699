"""`cogitate compare FILE.toml --dry-run`: every run, what it makes and what it shares, and what all of it will take."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cogitate.apps.experiment.definition import Experiment
from cogitate.apps.experiment.kept import Key, unpack
from cogitate.apps.experiment.running import GIB, check_seeds, run_directory
from cogitate.apps.overview import table
from cogitate.apps.plan.computer.machine import machine_of_run
from cogitate.apps.plan.recipe_plan import added, time_text
from cogitate.apps.plan.stage_cost import cost_of
from cogitate.apps.plan.workloads.works import works_of
from cogitate.config import Config, RewardModelsConfig, flatten
from cogitate.costs.counts import count_parameters
from cogitate.costs.factors import Estimate
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.run_directory.standing import Planned, refuse_outdated
from cogitate.recipe.runner import plan
from cogitate.recipe.stage import Stage

LONGEST_PART = 2 * 3600.0  # seconds of a part that fits into an afternoon: longer ones are named
FILES = 2 * 2**20  # bytes of an artifact beside weights: logs, completions, tokenizer
BYTES = {"float32": 4, "bfloat16": 2}  # of a saved weight
OPTIMISER = 12  # bytes of a weight in a checkpoint of an unfinished stage: itself and two moments
NO_TIME = Estimate(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One variant at one seed.

    Attributes:
        makes: stages that it makes; copies: those that ship with the package.
        shares: stage -> the run that has made it before.
        seconds, size: of what it makes, size in bytes on disk when it is finished.
        largest: bytes of the largest checkpoint on the way.
        unplanned: stages whose time is not known.
    """

    variant: str
    seed: int
    makes: Sequence[str]
    copies: Sequence[str]
    there: Sequence[str]
    shares: Mapping[str, str]
    seconds: Estimate
    size: float
    largest: float
    unplanned: Sequence[str]


def dry_run(experiment: Experiment, out: Path, seeds: Collection[int] = (), kept: Path | None = None) -> str:
    """What `run_experiment` would do, as text. All that it refuses before the first run is refused here.

    Raises:
        ConfigError, DataError: a run's settings or data cannot be used.
        ArtifactError: finished work in `out` would have to be made again, or what is kept cannot be used.
    """
    check_seeds(experiment, seeds)
    with tempfile.TemporaryDirectory() as unpacked:
        there = unpack(experiment, kept, Path(unpacked)) if kept else {}
    runs = planned_runs(experiment, out, seeds, there)
    config = experiment.config
    budget = f", {config.budget.tokens:,} tokens of {config.budget.stage} each" if config.budget else ""
    budget += f"; {len(there)} more are kept" if there else ""
    lines = [
        f"# {config.title or experiment.name}: {len(runs)} runs{budget}",
        "",
        "# variants",
        *table(variant_rows(experiment)),
    ]
    lines += ["", "# runs, in order", *table([run_row(run) for run in runs])]
    parts = {seed: [run for run in runs if run.seed == seed] for seed in dict.fromkeys(run.seed for run in runs)}
    rows = [(f"--seed {seed}", f"{len(part)} runs", time_text(total(part)), size_text(part)) for seed, part in parts.items()]
    lines += [
        "",
        "# parts, and all of it",
        *table([*rows, ("all", f"{len(runs)} runs", time_text(total(runs)), size_text(runs))]),
    ]
    lines += notes(experiment, runs, parts)
    return "\n".join(lines)


def planned_runs(
    experiment: Experiment, out: Path, seeds: Collection[int] = (), kept: Collection[Key] = ()
) -> list[PlannedRun]:
    """Every run that is still to be made, in order; what an earlier one makes is shared by the later ones."""
    made: dict[str, str] = {}
    seconds: dict[tuple[str, str], Estimate | None] = {}  # equal at all seeds
    runs = []
    for (variant, seed), config in experiment.runs.items():
        if (variant, seed) in kept or (seeds and seed not in seeds):
            continue
        directory = run_directory(out, variant, seed)
        planned = plan(config, directory, until=experiment.until(variant))
        refuse_outdated(planned, directory)
        runs.append(planned_run(variant, seed, config, planned, made, seconds))
    return runs


def planned_run(
    variant: str,
    seed: int,
    config: Config,
    planned: Sequence[Planned],
    made: dict[str, str],
    seconds: dict[tuple[str, str], Estimate | None],
) -> PlannedRun:
    """One run, and note what it makes in `made` and how long that takes in `seconds`."""
    shares = {item.stage.name: made[item.id] for item in planned if item.id in made and item.artifact is None}
    makes = [item.stage.name for item in planned if item.runs and item.stage.name not in shares]
    copies = [item.stage.name for item in planned if item.state == "shipped" and item.stage.name not in shares]
    there = [item.stage.name for item in planned if item.artifact is not None]
    for item in planned:
        made.setdefault(item.id, f"{variant}/seed-{seed}")
    works = {work.stage.name: work for work in works_of(graph_of(config), config)}
    machine = machine_of_run(config.runtime.dtype)
    for name in makes:
        if (variant, name) not in seconds:
            seconds[variant, name] = cost_of(works[name], machine.cluster, machine.factors, config.runtime).seconds
    known = [each for each in (seconds[variant, name] for name in makes) if each is not None]
    unplanned = [name for name in makes if works[name].not_planned]
    weights = {
        item.stage.name: count_parameters(shape).total_with_mtp * models_of(item.stage, config)
        for item in planned
        if item.stage.kind.makes in ("model", "reward models", "process reward model")
        and (shape := works[item.stage.name].shape) is not None
    }
    new = [*makes, *copies]
    size = sum(FILES + BYTES[config.runtime.dtype] * weights.get(name, 0) for name in new)
    largest = OPTIMISER * max((weights.get(name, 0) for name in makes), default=0)
    return PlannedRun(variant, seed, makes, copies, there, shares, added(known) if known else NO_TIME, size, largest, unplanned)


def models_of(stage: Stage, config: Config) -> int:
    """Models that a stage makes: of reward models one of helpfulness and one of safety, or as many as each has members."""
    return 2 * config.section(stage.name, RewardModelsConfig).members if stage.has(RewardModelsConfig) else 1


def total(runs: Sequence[PlannedRun]) -> Estimate:
    return added([run.seconds for run in runs])


def variant_rows(experiment: Experiment) -> list[tuple[str, str, str]]:
    """What each variant sets, and what is measured of it."""
    rows = []
    for name, table_of in experiment.config.variants.items():
        said = ", ".join(f"{key} = {value}" for key, value in flatten(table_of).items()) or "as the recipe"
        rows.append((name, f"measures {experiment.model(name)}", said))
    return rows


def run_row(run: PlannedRun) -> tuple[str, ...]:
    by_source: dict[str, list[str]] = {}
    for stage, source in run.shares.items():
        by_source.setdefault(source, []).append(stage)
    told = [f"makes {', '.join(run.makes)}"] if run.makes else []
    told += [f"copies {', '.join(run.copies)}"] if run.copies else []
    told += [f"has {', '.join(run.there)}"] if run.there else []
    told += [f"from {source} {', '.join(stages)}" for source, stages in by_source.items()]
    return (run.variant, f"seed {run.seed}", time_text(run.seconds), "; ".join(told))


def size_text(runs: Sequence[PlannedRun]) -> str:
    return f"{sum(run.size for run in runs) / GIB:.2f} GiB"


def notes(experiment: Experiment, runs: Sequence[PlannedRun], parts: Mapping[int, Sequence[PlannedRun]]) -> list[str]:
    """What a reader must mind."""
    machine = machine_of_run(next(iter(experiment.runs.values())).runtime.dtype)
    lines = ["", "Intervals hold eight of ten; they stand in brackets. A checkpoint on the way takes up to "]
    lines[-1] += f"{max((run.largest for run in runs), default=0) / GIB:.2f} GiB more."
    if not machine.is_measured:
        lines.append("The speed of this computer is a guess; `cogitate plan --calibrate` measures it in two to five minutes.")
    unplanned = dict.fromkeys(name for run in runs for name in run.unplanned)
    if unplanned:
        lines.append(f"Without the time of {', '.join(unplanned)}, which is not predicted.")
    size = sum(run.size for run in runs) + max((run.largest for run in runs), default=0)
    if size > experiment.config.disk_gib * GIB:
        lines.append(f"disk_gib = {experiment.config.disk_gib:g} will not be enough: raise it to {size / GIB:.1f} or more.")
    for seed, part in parts.items():
        if total(part).value > LONGEST_PART:
            lines.append(f"--seed {seed} is longer than two hours; stop it at any time, the same command goes on.")
    return lines
