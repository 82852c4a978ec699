"""An experiment on the smallest budgets that still go through every branch: to try one before it takes hours."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from cogitate.apps.experiment.definition import Experiment
from cogitate.config import Config
from cogitate.recipe.proof.shrink import shrink
from cogitate.recipe.runner import plan

SUFFIX = "_short"  # of its name
NO_RUN = Path(os.devnull) / "no run"


def in_short(experiment: Experiment) -> Experiment:
    """The same variants and seeds, every budget cut down as `cogitate verify-resume` does; stages that ship are left alone.

    Raises:
        ConfigError, DataError: a run's settings or data cannot be used.
    """
    first = experiment.config.seeds[0]
    shipped = {
        variant: sections_of_shipped(config, experiment.until(variant))
        for (variant, seed), config in experiment.runs.items()
        if seed == first
    }
    runs = {(variant, seed): shrink(config, keep=shipped[variant]) for (variant, seed), config in experiment.runs.items()}
    return replace(experiment, name=experiment.name + SUFFIX, runs=runs)


def sections_of_shipped(config: Config, until: str | None) -> set[str]:
    """What must not change, so that what ships with the package is still what the recipe asks for."""
    names = {item.stage.name for item in plan(config, NO_RUN, until=until) if item.shipped is not None}
    return {*names, "tokenizer"} if names else set()
