"""An experiment as a file: a recipe, variants of it, seeds, one budget, what is measured and what is claimed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from cogitate.apps.report.figures.plots import GROUPS
from cogitate.apps.report.words import MEASURES
from cogitate.config import Config, RLConfig, Section, flatten
from cogitate.config.toml import explain, read_toml
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import graph_of, nearest, select
from cogitate.recipe.settings import load_recipe

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")  # of a variant: a directory and a key of the file
LOG = "log."  # what a metric of the stage's log begins with; the others are of the evaluation
FURTHER_LOGGED = ("tokens_generated", "tokens_trained", "seconds", "learning_rate")


class BudgetConfig(Section):
    """What every run may spend: generated tokens of one RL stage."""

    stage: str
    tokens: int = Field(ge=1)


class ClaimConfig(Section):
    """That one variant has more of a metric than another."""

    metric: str
    greater: str
    than: str
    text: str = ""  # for readers; made of the names where there is none


class ExperimentConfig(Section):
    """The tables and keys of an experiment's file."""

    recipe: str  # a shipped recipe's name, or a path from the experiment's file
    title: str = ""
    seeds: tuple[int, ...] = Field(min_length=1)
    budget: BudgetConfig
    model: str = ""  # which is measured; the stage of the budget where none is named
    baseline: str = ""  # the variant that others are compared with; the first one where none is named
    measure: tuple[str, ...] = Field(min_length=1)
    disk_gib: float = Field(10.0, gt=0)  # of all runs together
    settings: dict[str, Any] = Field(default_factory=dict)  # of all variants
    variants: dict[str, dict[str, Any]]
    claims: tuple[ClaimConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class Experiment:
    """A file that can be run.

    Attributes:
        name: the file's, without its ending.
        runs: the settings of every variant at every seed, in the order in which they are made: all variants of one seed first.
    """

    name: str
    config: ExperimentConfig
    runs: Mapping[tuple[str, int], Config]

    @property
    def model(self) -> str:
        return self.config.model or self.config.budget.stage

    @property
    def baseline(self) -> str:
        return self.config.baseline or next(iter(self.config.variants))


def read_experiment(path: Path) -> Experiment:
    """Read and check a file.

    Raises:
        ConfigError: an unknown key, repeated seeds, a variant that cannot be, a claim on what is not measured ...: one line
            that names the file and the key.
    """
    try:
        config = ExperimentConfig.model_validate(read_toml(path))
    except ValidationError as error:
        first = error.errors()[0]
        missing = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{path}: {missing} is missing" if first["type"] == "missing" else f"{path}: {explain(error, ExperimentConfig)[1]}"
        ) from error
    try:
        check(config)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    recipe = str(path.parent / config.recipe) if config.recipe.endswith(".toml") else config.recipe
    runs = {
        (variant, seed): settings_of(path, config, recipe, variant, seed)
        for seed in config.seeds
        for variant in config.variants
    }
    return Experiment(path.stem, config, runs)


def check(config: ExperimentConfig) -> None:
    """Refuse what can be refused without the recipe."""
    if twice := [seed for seed in config.seeds if config.seeds.count(seed) > 1]:
        raise ConfigError(f"seeds: {twice[0]} is given twice: a seed counts once")
    if len(config.variants) < 2:
        raise ConfigError("variants: an experiment compares at least two: write [variants.NAME] for each")
    for name in config.variants:
        if not NAME.fullmatch(name):
            raise ConfigError(f"variants.{name}: a variant's name is of small letters, digits and _")
    if config.baseline:
        check_variant(config, "baseline", config.baseline)
    for place, name in enumerate(config.measure):
        if not is_measure(name):
            known = [*MEASURES, *(LOG + each for each in logged())]
            raise ConfigError(f"measure: {name} is no metric; did you mean {nearest(name, known)}?")
        if name in config.measure[:place]:
            raise ConfigError(f"measure: {name} is given twice")
    for number, claim in enumerate(config.claims, 1):
        if claim.metric not in config.measure:
            raise ConfigError(f"claims, number {number}: {claim.metric} is not measured; add it to measure")
        for key, name in (("greater", claim.greater), ("than", claim.than)):
            check_variant(config, f"claims, number {number}: {key}", name)
        if claim.greater == claim.than:
            raise ConfigError(f"claims, number {number}: greater and than are both {claim.than}")


def check_variant(config: ExperimentConfig, key: str, name: str) -> None:
    if name not in config.variants:
        raise ConfigError(f"{key} = {name}: no such variant; did you mean {nearest(name, config.variants)}?")


def is_measure(name: str) -> bool:
    """Whether a name is that of a metric of the evaluation, or with `log.` before it of the RL log."""
    if name.startswith(LOG):
        key = name.removeprefix(LOG)
        return key in logged() or any(key.startswith(start) for start in families())
    return name in MEASURES or re.fullmatch(r"(?:pass|cons)@\d+|pass@1\.level_\d+", name) is not None


def logged() -> list[str]:
    """Numbers of a stage's log that stand alone."""
    of_plots = [metric for _, plots in GROUPS for plot in plots for metric, _ in plot.metrics if not metric.endswith("*")]
    return list(dict.fromkeys([*of_plots, *FURTHER_LOGGED]))


def families() -> tuple[str, ...]:
    """What further numbers of a log begin with: accuracy.TASK, reward.PART ..."""
    return tuple(
        metric.removesuffix("*") for _, plots in GROUPS for plot in plots for metric, _ in plot.metrics if metric.endswith("*")
    )


def settings_of(path: Path, config: ExperimentConfig, recipe: str, variant: str, seed: int) -> Config:
    """The recipe's settings for one run. Raises ConfigError, which names the variant."""
    stage = config.budget.stage
    given = [*overrides(config.settings), *overrides(config.variants[variant])]
    keys = {each.partition("=")[0] for each in given}
    try:
        for key, place in (("seed", "seeds"), (f"{stage}.token_budget", "budget.tokens")):
            if key in keys:
                raise ConfigError(f"{key} is set by {place}; leave it out")
        graph = graph_of(load_recipe(recipe))
        if not any(each.name == stage and each.has(RLConfig) for each in graph):
            raise ConfigError(f"budget.stage = {stage}: the recipe has no RL stage of this name")
        select(graph, until=config.model or stage)
        if not any(each.name == f"evaluate.{config.model or stage}" for each in graph):
            raise ConfigError(f"model = {config.model or stage}: no stage of the recipe measures it")
        # Steps are no second budget: no step generates fewer than two tokens.
        steps = [] if f"{stage}.steps" in keys else [f"{stage}.steps={config.budget.tokens}"]
        return load_recipe(recipe, [*given, f"seed={seed}", f"{stage}.token_budget={config.budget.tokens}", *steps])
    except ConfigError as error:
        raise ConfigError(f"{path}: variant {variant}: {error}") from error


def overrides(table: Mapping[str, Any]) -> Sequence[str]:
    """A table of settings, nested or with dotted keys, as the command line writes them."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in flatten(table).items()]
