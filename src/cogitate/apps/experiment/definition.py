"""An experiment as a file: a recipe, variants of it, seeds, one budget, what is measured and what is claimed."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
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
from cogitate.recipe.stage import Stage

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")  # of a variant: a directory and a key of the file
LOG = "log."  # what a metric of the stage's log begins with, at its end
WHOLE_LOG = "whole_log."  # and over the whole of it
SUMMARY = "summary."  # and one of what a stage says of itself: summary.STAGE.KEY; the others are of the evaluation
ANALYSES = {  # of the key `analysis` -> its file, which offers `analyse(results) -> Analysis`
    name: f"cogitate.apps.experiment.analyses.{name}" for name in ("scaling", "overoptimisation", "search")
}
FURTHER_LOGGED = (
    "tokens_generated", "tokens_trained", "seconds", "learning_rate", "off_policy_share", "repeating_share", "waiting_groups",
)  # fmt: skip


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


class PlotConfig(Section):
    """One measure over another, a point for each variant."""

    x: str
    y: str


class ExperimentConfig(Section):
    """The tables and keys of an experiment's file."""

    recipe: str  # a shipped recipe's name, or a path from the experiment's file
    title: str = ""
    seeds: tuple[int, ...] = Field(min_length=1)
    budget: BudgetConfig | None = None  # without one, stages are as long as the recipe has them
    stage: str = ""  # whose log is measured, where there is no budget
    model: str = ""  # which is measured; the stage of the budget where none is named
    models: dict[str, str] = Field(default_factory=dict)  # variant -> its own model, where that is another one
    whole: bool = False  # make all stages of the recipe, not only those that the measured model needs
    analysis: str = ""  # a further section of the page: a name of ANALYSES
    baseline: str = ""  # the variant that others are compared with; the first one where none is named
    measure: tuple[str, ...] = Field(min_length=1)
    disk_gib: float = Field(10.0, gt=0)  # of all runs together
    settings: dict[str, Any] = Field(default_factory=dict)  # of all variants
    variants: dict[str, dict[str, Any]]
    claims: tuple[ClaimConfig, ...] = ()
    plots: tuple[PlotConfig, ...] = ()


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

    def model(self, variant: str) -> str:
        """The model that is measured."""
        return model_of(self.config, variant)

    def until(self, variant: str) -> str | None:
        """The last stage that is made; None: all are. It is an evaluation, so that no other model is evaluated."""
        return None if self.config.whole else f"evaluate.{self.model(variant)}"

    @property
    def stage(self) -> str:
        """Whose log is measured; "" where none is."""
        return self.config.budget.stage if self.config.budget else self.config.stage

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
    of_seed = {variant: settings_of(path, config, recipe, variant) for variant in config.variants}
    runs = {
        (variant, seed): settings.model_copy(update={"seed": seed})
        for seed in config.seeds
        for variant, settings in of_seed.items()
    }
    return Experiment(path.stem, config, runs)


def model_of(config: ExperimentConfig, variant: str) -> str:
    """The model of a variant that is measured; "" where none is named."""
    return config.models.get(variant) or config.model or (config.budget.stage if config.budget else "")


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
    if config.budget and config.stage:
        raise ConfigError("stage is set by budget.stage; leave it out")
    if config.analysis and config.analysis not in ANALYSES:
        raise ConfigError(f"analysis = {config.analysis}: no such analysis; there are {', '.join(ANALYSES)}")
    for name in config.models:
        check_variant(config, "models", name)
    for name in config.variants:
        if not model_of(config, name):
            raise ConfigError(f"model: name the model that is measured, of all variants or models.{name}")
    for place, name in enumerate(config.measure):
        if not is_measure(name):
            known = [*MEASURES, *(start + each for start in (LOG, WHOLE_LOG) for each in logged())]
            raise ConfigError(f"measure: {name} is no metric; did you mean {nearest(name, known)}?")
        if name in config.measure[:place]:
            raise ConfigError(f"measure: {name} is given twice")
        if name.startswith((LOG, WHOLE_LOG)) and not (config.budget or config.stage):
            raise ConfigError(f"measure: {name} is of the log of a stage, and none is named: set stage or budget.stage")
    for number, plot in enumerate(config.plots, 1):
        for key, name in (("x", plot.x), ("y", plot.y)):
            if name not in config.measure:
                raise ConfigError(f"plots, number {number}: {key} = {name} is not measured; add it to measure")
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
    """Whether a name is that of a metric of the evaluation, or with `log.` or `whole_log.` before it of the RL log."""
    if name.startswith((LOG, WHOLE_LOG)):
        key = name.removeprefix(LOG).removeprefix(WHOLE_LOG)
        return key in logged() or any(key.startswith(start) for start in families())
    if name.startswith(SUMMARY):
        return len(name.split(".")) > 2
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


def settings_of(path: Path, config: ExperimentConfig, recipe: str, variant: str) -> Config:
    """The recipe's settings for one variant at the first seed. Raises ConfigError, which names the variant."""
    given = [*overrides(config.settings), *overrides(config.variants[variant])]
    keys = {each.partition("=")[0] for each in given}
    try:
        graph = graph_of(load_recipe(recipe))
        check_stages(config, graph, variant)
        refuse_keys(keys, {"seed": "seeds"})
        if config.budget:
            stage, tokens = config.budget.stage, config.budget.tokens
            refuse_keys(keys, {f"{stage}.token_budget": "budget.tokens"})
            # Steps are no second budget: no step generates fewer than two tokens.
            steps = [] if f"{stage}.steps" in keys else [f"{stage}.steps={tokens}"]
            given += [f"{stage}.token_budget={tokens}", *steps]
        return load_recipe(recipe, [*given, f"seed={config.seeds[0]}"])
    except ConfigError as error:
        raise ConfigError(f"{path}: variant {variant}: {error}") from error


def refuse_keys(keys: Collection[str], set_by: Mapping[str, str]) -> None:
    """Refuse settings that a key of the file decides."""
    for key, place in set_by.items():
        if key in keys:
            raise ConfigError(f"{key} is set by {place}; leave it out")


def check_stages(config: ExperimentConfig, graph: Sequence[Stage], variant: str) -> None:
    """Refuse names of stages that the recipe does not have, or that cannot be measured so."""
    if config.budget and not any(each.name == config.budget.stage and each.has(RLConfig) for each in graph):
        raise ConfigError(f"budget.stage = {config.budget.stage}: the recipe has no RL stage of this name")
    names = [each.name for each in graph]
    if config.stage and config.stage not in names:
        raise ConfigError(f"stage = {config.stage}: no such stage; did you mean {nearest(config.stage, names)}?")
    model = model_of(config, variant)
    select(graph, until=model)
    if f"evaluate.{model}" not in names:
        raise ConfigError(f"model = {model}: no stage of the recipe measures it")
    made = {each.name for each in select(graph, until=None if config.whole else model)}
    for name in config.measure:
        stage = summary_place(name)[0] if name.startswith(SUMMARY) else ""
        if stage and stage not in made:
            raise ConfigError(f"measure: {name}: {stage} is no stage that is made; did you mean {nearest(stage, made)}?")


def summary_place(measure: str) -> tuple[str, tuple[str, ...]]:
    """The stage of a measure of a summary, and the keys that lead to it there."""
    _, stage, *keys = measure.split(".")
    return stage, tuple(keys)


def overrides(table: Mapping[str, Any]) -> Sequence[str]:
    """A table of settings, nested or with dotted keys, as the command line writes them."""
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in flatten(table).items()]
