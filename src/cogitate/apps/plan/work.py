"""Work: what a stage does, as tokens, steps and models; and what a run that has been made says about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cogitate.costs.generation import Sampling
from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError
from cogitate.recipe.stage import Stage


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that a stage does.

    Attributes:
        steps: optimiser steps, or rounds of sampling.
        step_tokens: learnt from in each step; 0: nothing is learnt. micro_tokens: of one forward pass.
        sequence: tokens that see each other.
        sampling: completions of each step or round.
        scorings: further forward passes over a step's tokens, by models that only score.
        other_models: models of about this size that rest beside it: a reference, reward models.
        critics: models that are trained beside it.
    """

    shape: Shape
    steps: float
    step_tokens: float = 0.0
    micro_tokens: float = 0.0
    sequence: float = 0.0
    sampling: Sampling | None = None
    scorings: int = 0
    other_models: int = 0
    critics: int = 0
    muon: bool = False


@dataclass(frozen=True, slots=True)
class StageWork:
    """What a stage does, and what was guessed.

    Attributes:
        further: deviation of the logarithm of its time from these guesses.
    """

    stage: Stage
    shape: Shape | None
    works: tuple[Work, ...]
    notes: tuple[str, ...] = ()
    further: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run that was made says about lengths and rows: stage -> figure -> number."""

    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def of(self, stage: str, figure: str) -> float | None:
        return self.figures.get(stage, {}).get(figure)


def read_measured(run: Path) -> Measured:
    """Mean completion length, steps and tokens of a step of each stage of a run directory.

    Raises:
        ConfigError: it is none, or holds no metrics yet.
    """
    found: dict[str, dict[str, float]] = {}
    for path in sorted(run.glob("*/metrics.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        figures = {"steps": float(len(rows))} if rows else {}
        for key in ("completion_tokens", "tokens"):
            values = [row[key] for row in rows if isinstance(row.get(key), int | float)]
            if values:
                figures[key] = sum(values) / len(values)
        found[path.parent.name] = figures
    if not found:
        raise ConfigError(f"--like {run}: holds no STAGE/metrics.jsonl; give the directory of a run that has been made")
    return Measured(found)
