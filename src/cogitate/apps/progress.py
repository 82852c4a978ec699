"""How a run looks while it goes: one bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from cogitate.apps.tensorboard import EventFiles, is_installed
from cogitate.apps.tracking import Tracker
from cogitate.config import Config
from cogitate.recipe.progress import Progress

SHOWN = {  # metric -> label, format
    "loss": ("loss", "{:.3f}"),
    "reward": ("reward", "{:.2f}"),
    "accuracy": ("accuracy", "{:.2f}"),
    "completion_tokens": ("length", "{:.0f}"),
    "tokens_per_second": ("tokens/s", "{:,.0f}"),
}
SECONDS_BETWEEN_LINES = 5.0


def make_progress(out: Path, config: Config) -> Progress:
    """The display that fits where standard error goes, event files in out/tensorboard where tensorboard is installed, and the
    tracking service that the settings name.

    Raises:
        ConfigError: the service's library is not installed.
    """
    watchers: list[Progress] = [Bar() if sys.stderr.isatty() else Lines()]
    if is_installed():
        watchers.append(EventFiles(out / "tensorboard"))
    if config.tracking:
        watchers.append(Tracker(config.tracking, config, out))
    return Both(*watchers)


class Bar:
    """stage, bar, step i/n, the shown metrics, elapsed time; what is said scrolls by above."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.display: RichProgress | None = None
        self.task = TaskID(0)

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        self.stage_ends(stage)
        self.display = RichProgress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[shown]}"),
            TimeElapsedColumn(),
            console=self.console,
        )
        self.task = self.display.add_task(stage, total=steps, completed=first_step, shown="")
        self.display.start()

    def row(self, stage: str, row: dict[str, Any]) -> None:
        if self.display is not None:
            self.display.update(self.task, completed=row["step"] + 1, shown=shown_metrics(row))

    def stage_ends(self, stage: str) -> None:
        if self.display is not None:
            self.display.stop()
            self.display = None

    def say(self, line: str) -> None:
        self.console.print(Text(line))


class Lines:
    """One line now and then on standard error, for logs."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.printed = 0.0
        self.steps = 0

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        self.started, self.printed, self.steps = time.monotonic(), 0.0, steps
        self.say(f"{stage}: {steps} steps" + (f", going on from step {first_step}" if first_step else ""))

    def row(self, stage: str, row: dict[str, Any]) -> None:
        now, done = time.monotonic(), row["step"] + 1
        if now - self.printed >= SECONDS_BETWEEN_LINES or done == self.steps:
            self.printed = now
            minutes, seconds = divmod(int(now - self.started), 60)
            self.say(f"{stage}: {done}/{self.steps}  {shown_metrics(row)}  {minutes}:{seconds:02d}")

    def stage_ends(self, stage: str) -> None:
        pass

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class Both:
    """Several watchers as one."""

    def __init__(self, *watchers: Progress):
        self.watchers = watchers

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        for watcher in self.watchers:
            watcher.stage_begins(stage, first_step, steps)

    def row(self, stage: str, row: dict[str, Any]) -> None:
        for watcher in self.watchers:
            watcher.row(stage, row)

    def stage_ends(self, stage: str) -> None:
        for watcher in self.watchers:
            watcher.stage_ends(stage)

    def say(self, line: str) -> None:
        for watcher in self.watchers:
            watcher.say(line)


def shown_metrics(row: Mapping[str, Any]) -> str:
    """The metrics of a row that a person follows, e.g. `reward 0.43  length 61  tokens/s 3,200`."""
    held = [(key, row[key]) for key in SHOWN if isinstance(row.get(key), int | float)]
    return "  ".join(f"{SHOWN[key][0]} {SHOWN[key][1].format(value)}" for key, value in held)
