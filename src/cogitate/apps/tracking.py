"""Metrics of a run in a tracking service's own library: `tracking = "wandb"` or `"trackio"` (extras of the same names).

Each stage becomes one tracked run, `RUN/STAGE` in the group `RUN` of the project "cogitate", with the settings as its config.
The libraries' own environment variables decide where it goes and with which key: WANDB_MODE=offline, WANDB_API_KEY, TRACKIO_DIR
and so on. Keys are never settings, so that none is in config.json, a manifest or what is sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.config import Config, flatten
from cogitate.errors import ConfigError

PROJECT = "cogitate"


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A stage at a service: `log(metrics, step=...)`, and `finish()`."""

    log: Callable[..., object]
    finish: Callable[[], object]


class Tracker:
    """Watches a run (a recipe.progress.Progress) and logs each metrics row.

    A stage that is resumed goes on in its tracked run; the steps since its last checkpoint are logged again, with equal values.
    """

    def __init__(self, library: str, config: Config, out: Path):
        """Raises ConfigError where the library is not installed."""
        if importlib.util.find_spec(library) is None:
            raise ConfigError(f'tracking = "{library}": {library} is not installed: pip install "cogitate[{library}]"')
        self.start = START[library]
        self.settings, self.out = flatten(config.identity()), out
        self.run: TrackedRun | None = None

    def run_begins(self, stages: Sequence[str]) -> None:
        pass

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        """Raises ConfigError where the library cannot begin a run, for want of a key, say."""
        self.stage_ends(stage)
        self.run = self.start(self.out, stage, self.settings)

    def row(self, stage: str, row: dict[str, Any]) -> None:
        if self.run is not None:
            numbers = {key: value for key, value in row.items() if key != "step" and isinstance(value, int | float)}
            self.run.log(numbers, step=row["step"])

    def stage_ends(self, stage: str) -> None:
        if self.run is not None:
            with contextlib.redirect_stdout(sys.stderr):
                self.run.finish()
            self.run = None

    def say(self, line: str) -> None:
        pass


def start_wandb(out: Path, stage: str, settings: Mapping[str, Any]) -> TrackedRun:
    """Weights & Biases; offline runs are in OUT/wandb, for `wandb sync`."""
    import wandb

    try:
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=out,
            id=run_id(out, stage),
            name=f"{out.name}/{stage}",
            group=out.name,
            config=dict(settings),
            resume="allow",
            settings=wandb.Settings(console="off", silent=True),
        )
    except wandb.errors.Error as error:
        raise ConfigError(f'tracking = "wandb": {error}; run `wandb login`, or set WANDB_MODE=offline') from error
    return TrackedRun(run.log, run.finish)


def start_trackio(out: Path, stage: str, settings: Mapping[str, Any]) -> TrackedRun:
    """Trackio: a local database, `trackio show --project cogitate`."""
    import trackio

    with contextlib.redirect_stdout(sys.stderr):
        run = trackio.init(
            project=PROJECT, name=f"{out.name}/{stage}", group=out.name, config=dict(settings), resume="allow", embed=False
        )
    return TrackedRun(run.log, trackio.finish)


def run_id(out: Path, stage: str) -> str:
    """The same for a stage that is resumed, another for another directory."""
    return hashlib.sha256(f"{out.resolve()}/{stage}".encode()).hexdigest()[:16]


START: Mapping[str, Callable[[Path, str, Mapping[str, Any]], TrackedRun]] = {"wandb": start_wandb, "trackio": start_trackio}
