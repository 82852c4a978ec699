"""What `cogitate plan` does, one function for each of its uses; each returns the text to print."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cogitate.apps.plan.answers import (
    budget_text,
    comparison_text,
    gpus_asked,
    holding,
    holding_text,
    r1_text,
    smallest_text,
    twice_as_long,
)
from cogitate.apps.plan.answers import r1_cost as cost_of_r1
from cogitate.apps.plan.computer.against import against
from cogitate.apps.plan.computer.machine import default_calibration, this_machine
from cogitate.apps.plan.factors import SHIPPED, read_factors, write_factors
from cogitate.apps.plan.hardware import Hardware, check_price, parse_cluster, read_hardware
from cogitate.apps.plan.measured import Measured, read_measured
from cogitate.apps.plan.page import plan_page
from cogitate.apps.plan.published.fit import fit_on
from cogitate.apps.plan.published.rows import read_rows
from cogitate.apps.plan.published.validate import check_rows, errors_page, validation, validation_text
from cogitate.apps.plan.recipe_plan import RecipePlan, plan_recipe
from cogitate.apps.plan.workloads.works import works_of
from cogitate.config import Config
from cogitate.costs.factors import PRIORS, Factors
from cogitate.costs.hardware import Cluster
from cogitate.costs.layout import Layout
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.runner import plan as plan_of_run
from cogitate.recipe.settings import load_recipe
from cogitate.runtime import atomic_write, keep_freed_memory

NOT_MEASURED = "The speed of this computer is a guess; `cogitate plan --calibrate` measures it in two to five minutes."
QUIET = 0.5  # processors that other processes may keep busy while this computer is measured
DEGREES = {"tp": "tensor", "pp": "pipeline", "ep": "experts", "cp": "context"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What several uses have in common."""

    hardware: Hardware
    gpus: str | None
    price: float | None
    factors: Path | None
    as_json: bool
    page: Path | None

    def machine(self, dtype: str = "float32") -> tuple[Cluster, Factors]:
        """The cluster that was named, or this computer for work in this type, and the factors for it."""
        if self.gpus is None:
            if self.price is not None:
                raise ConfigError("--price is of one of the --gpus: give --gpus NxGPU")
            machine = this_machine(self.factors, read_factors(), dtype)
            return machine.cluster, machine.factors
        return parse_cluster(self.gpus, self.hardware, self.price), read_factors(self.factors or SHIPPED)

    def written(self, content: Any, text: str) -> str:
        return json.dumps(content, indent=1, ensure_ascii=False) if self.as_json else text


def table_of_hardware(own: Path | None) -> Hardware:
    """The shipped table with the user's over it."""
    return read_hardware(own)


def plan(
    recipe: str,
    settings: Sequence[str],
    asked: Asked,
    *,
    model: str = "",
    layout: str = "",
    like: Path | None = None,
    compare_longer: bool = False,
) -> str:
    """Every stage of a recipe on a cluster."""
    check_page(asked.page, ".html")
    config = load_recipe(recipe, settings)
    cluster, factors = asked.machine(config.runtime.dtype)
    there = {} if model or asked.gpus is not None else stages_that_are_there(config)
    divided, measured = parse_layout(layout, cluster.count), measured_like(like, config) if like is not None else None

    def made(with_config: Any) -> RecipePlan:
        return plan_recipe(
            recipe, with_config, cluster, factors, dated=asked.hardware.dated, model=model, layout=divided, measured=measured,
            there=there, run=like,
        )  # fmt: skip

    result = made(config)
    if asked.page is not None:
        write_page(asked.page, plan_page(result))
    if not compare_longer:
        is_guess = asked.gpus is None and asked.factors is None and not default_calibration().is_file()
        return asked.written(result.as_json(), result.text() + (f"\n\n{NOT_MEASURED}" if is_guess else ""))
    longer = made(twice_as_long(config))
    return asked.written({"plan": result.as_json(), "twice_as_long": longer.as_json()}, comparison_text(result, longer))


def measured_like(run: Path, config: Config) -> Measured:
    """What a run says of stages of this recipe.

    Raises:
        ConfigError: it has none of them, so that nothing would be taken from it.
    """
    measured, names = read_measured(run), [stage.name for stage in graph_of(config)]
    if not measured.figures.keys() & set(names):
        there = ", ".join(measured.figures)
        raise ConfigError(f"--like {run}: has no stage of this recipe ({there}): nothing could be taken from it; leave it out")
    return measured


def compare_with_run(recipe: str, settings: Sequence[str], asked: Asked, run: Path) -> str:
    """Every finished stage of a run, planned with the tokens that it measured, beside what it took."""
    if asked.gpus is not None or asked.page is not None or asked.price is not None:
        raise ConfigError(
            "--against compares a run with the plan of this computer, on which it was made: leave out --gpus, --price, --page"
        )
    config = load_recipe(recipe, settings)
    machine = this_machine(asked.factors, read_factors(), config.runtime.dtype)
    found = against(config, run, machine)
    return asked.written(found.as_json(), found.text() + ("" if machine.is_measured else f"\n\n{NOT_MEASURED}"))


def stages_that_are_there(config: Config) -> dict[str, str]:
    """Stages of a recipe whose artifact ships with the package, with the words for it."""
    graph = graph_of(config)
    if config.inputs or not any(stage.kind.may_be_shipped for stage in graph):
        return {}
    planned = plan_of_run(config, Path(os.devnull) / "no run")
    return {item.stage.name: "ships with the package" for item in planned if item.shipped is not None}


def clusters(recipe: str, settings: Sequence[str], asked: Asked, *, model: str, like: Path | None, budget: float | None) -> str:
    """The smallest clusters that hold a recipe, or the fastest for a budget."""
    if asked.page is not None or asked.as_json:
        raise ConfigError("--smallest and --budget print a short text: leave out --json and --page")
    if budget is not None and not 0 <= budget < math.inf:
        raise ConfigError(f"--budget {budget}: give dollars, 0 or more")
    config, factors = load_recipe(recipe, settings), read_factors(asked.factors or SHIPPED)
    measured = measured_like(like, config) if like is not None else None
    works = works_of(graph_of(config), config, model=model, measured=measured, run=like)
    wanted = parse_cluster(asked.gpus, asked.hardware, asked.price) if asked.gpus is not None else None
    gpus = list(gpus_asked(asked.hardware, wanted))
    if budget is not None:
        return budget_text(works, gpus, factors, config.runtime, budget)
    return smallest_text(works, gpus, factors, config.runtime)


def holds(model: str, asked: Asked) -> str:
    """What a cluster can do with a model."""
    if asked.gpus is None:
        raise ConfigError("--holds says what a cluster can do with a model: name it by --gpus NxGPU")
    cluster, factors = asked.machine()
    content = holding(model, cluster, factors)
    return asked.written(content, holding_text(content, cluster))


def r1_cost(asked: Asked) -> str:
    """What R1 cost, beside the planner's figures."""
    check_price(asked.price)
    price = asked.hardware.find("H800").price if asked.price is None else asked.price
    stages = cost_of_r1(asked.hardware, read_factors(asked.factors or SHIPPED))
    content = [
        {"stage": each.name, "paper": each.paper, "predicted": each.predicted.as_json(), "assumed": each.assumed}
        for each in stages
    ]
    return asked.written({"gpu_hours": content}, r1_text(stages, price))


def validate(path: Path, asked: Asked) -> str:
    """Errors over published rows."""
    check_page(asked.page, ".md")
    rows, left = read_rows(path, asked.hardware)
    checked = check_rows(rows, read_factors(asked.factors or SHIPPED))
    content = validation(checked, left)
    if asked.page is not None:
        write_page(asked.page, errors_page(checked, left))
    return asked.written(content, validation_text(content))


def fit(path: Path, hardware: Hardware, out: Path | None) -> str:
    """Fit factors and write them."""
    if out is None or out.suffix != ".json":
        raise ConfigError("--fit writes factors: name the file by --out FILE.json")
    rows, left = read_rows(path, hardware)
    factors = fit_on(rows)
    write_factors(factors, out, f"{path.name}, {len(factors.fitted_on)} rows")
    lines = [f"{name:<18} {PRIORS[name].guess:>8.4g} -> {factors[name]:>8.4g}   {PRIORS[name].meaning}" for name in PRIORS]
    lines += [f"deviation of {group}: {100 * value:.0f} %" for group, value in factors.residuals.items()]
    lines += [f"left out: line {each.line} ({each.id}): {each.why}" for each in left]
    return "\n".join([*lines, f"factors: {out}"])


def calibrate(out: Path | None, say: Callable[[str], None]) -> str:
    """Measure this computer, and write its factors."""
    path = out or default_calibration()
    if path.suffix != ".json" or path.is_dir():
        raise ConfigError(f"--out {path}: a calibration is a .json file")
    path.parent.mkdir(parents=True, exist_ok=True)  # before the minutes of work
    from cogitate.apps.plan.computer.calibrate import fit_timings, write_calibration
    from cogitate.apps.plan.computer.rehearsal import rehearse
    from cogitate.apps.plan.computer.timing import measure

    if (busy := busy_processors()) > QUIET:
        say(f"other processes keep {busy:.1f} processors busy: every time will come out too long; wait until nothing else runs")
    started = time.monotonic()
    rehearsal = rehearse(say)
    keep_freed_memory()  # as runs do, for their pace and their size
    timings = measure(say)
    first = fit_timings(timings, "float32", rehearsal)
    others = {dtype: fit_timings(timings, dtype, known=first) for dtype in timings.dtypes if dtype != "float32"}
    factors = {"float32": first, **others}
    gpu = write_calibration(timings, first, path, others, rehearsal)
    within = " and ".join(f"{100 * own.residuals['step']:.0f} % in {dtype}" for dtype, own in factors.items())
    return f"{gpu.name}: steps are predicted within {within}, calibration: {path}, made in {time.monotonic() - started:.0f} s"


def busy_processors() -> float:
    """Processors that are at work, over the next second."""
    return float((psutil.cpu_count() or 1) * psutil.cpu_percent(interval=1.0) / 100)


def parse_layout(text: str, processes: int) -> Layout | None:
    """tp8,pp4 as a layout; None of nothing.

    Raises:
        ConfigError: another form.
    """
    if not text:
        return None
    degrees: dict[str, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(tp|pp|ep|cp)=?([1-9]\d*)\s*", part)
        if match is None or DEGREES[match[1]] in degrees:
            raise ConfigError(f"--layout {text}: write tpN, ppN, epN and cpN once each, with commas, e.g. tp8,pp4")
        degrees[DEGREES[match[1]]] = int(match[2])
    sharding = "optimiser" if degrees.get("pipeline", 1) > 1 else "full"
    return Layout(processes, **degrees, sharding=sharding)  # type: ignore[arg-type]


def check_page(path: Path | None, suffix: str) -> None:
    """Refuse a page before the work for it is done.

    Raises:
        ConfigError: another kind of file, or no such directory.
    """
    if path is not None and path.suffix != suffix:
        raise ConfigError(f"--page {path}: this page is a {suffix} file")
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"--page {path}: there is no directory {path.parent}")


def write_page(path: Path, text: str) -> None:
    """A page, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
