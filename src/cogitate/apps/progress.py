"""How a run looks while it goes: one bar on a terminal, plain lines elsewhere, with the time that is left."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from cogitate.apps.tensorboard import EventFiles, is_installed
from cogitate.apps.tracking import Tracker
from cogitate.config import Config
from cogitate.errors import ArtifactError
from cogitate.recipe.progress import Progress
from cogitate.recipe.run_directory.planned import seconds_to_come

SHOWN = {  # metric -> label, format
    "loss": ("loss", "{:.3f}"),
    "reward": ("reward", "{:.2f}"),
    "accuracy": ("accuracy", "{:.2f}"),
    "completion_tokens": ("length", "{:.0f}"),
    "tokens_per_second": ("tokens/s", "{:,.0f}"),
}
SECONDS_BETWEEN_LINES = 5.0


def make_progress(out: Path, config: Config, *, retrain: Sequence[str] = ()) -> Progress:
    """The display that fits where standard error goes, the run's plan, event files in out/tensorboard where tensorboard is
    installed, and what `with_tracking` adds. Raises as it does."""
    from cogitate.apps.plan.computer.following import BesidePlan

    display: Progress = Bar(out) if sys.stderr.isatty() else Lines(out)
    watchers: list[Progress] = [BesidePlan(out, config, display.say, retrain), display]  # the plan first: the display reads it
    if is_installed():
        watchers.append(EventFiles(out / "tensorboard"))
    return with_tracking(Both(*watchers), out, config)


def with_tracking(progress: Progress, out: Path, config: Config) -> Progress:
    """A watcher, and the tracking service that the settings name.

    Raises:
        ConfigError: the service's library is not installed.
    """
    return Both(progress, Tracker(config.tracking, config, out)) if config.tracking else progress


class Clock:
    """The time of a stage's steps, and what the others will take at the same pace.

    The pace is that of all steps since this attempt began: the first one is often slow, so there is none before the second.

    Args:
        plan: seconds by the run's plan: of this stage, and of those to come; None where there is no plan.
    """

    def __init__(self, first_step: int, steps: int, plan: tuple[float, float] | None = None):
        self.started, self.first_step, self.steps, self.most_steps = time.monotonic(), first_step, steps, steps
        self.plan = plan

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def count(self, row: Mapping[str, Any]) -> int:
        """Steps done by this row. Where a budget of tokens ends a stage, how many it will take is reckoned anew from each."""
        done: int = row["step"] + 1
        if (share := row.get("budget_spent")) is not None:
            self.steps = min(self.most_steps, max(done, math.ceil(done / share))) if share < 1 else done
        return done

    def left(self, done: int) -> float | None:
        """Seconds until the last step; None where nothing is known or left."""
        made = done - self.first_step
        return self.elapsed() / made * (self.steps - done) if made > 1 and done < self.steps else None

    def left_in_all(self, done: int) -> float | None:
        """Seconds until the end of the recipe: of this stage by its pace, as soon as there is one, of the rest by the plan."""
        if self.plan is None:
            return None
        own, left = self.plan[0] * (1 - self.first_step / max(1, self.steps)), self.left(done)
        return self.plan[1] + (left if left is not None else max(0.0, own - self.elapsed()) if done < self.steps else 0.0)

    def left_text(self, done: int) -> str:
        """`about 2:10 left, about 31:00 in all`."""
        stage, run = left_text(self.left(done)), self.left_in_all(done)
        of_run = "" if run is None else f"about {minutes_text(run)}{'' if stage else ' left'} in all"
        return ", ".join(filter(None, (stage, of_run)))


def left_text(seconds: float | None) -> str:
    """`about 2:10 left`."""
    return "" if seconds is None else f"about {minutes_text(seconds)} left"


def minutes_text(seconds: float) -> str:
    """75 is 1:15, an hour is 1:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def place_of(stage: str, stages: Sequence[str]) -> str:
    """`stage 3 of 27`; "" where the order is not known."""
    return f"stage {stages.index(stage) + 1} of {len(stages)}" if stage in stages else ""


def clock_of(out: Path | None, stages: Sequence[str], stage: str, first_step: int, steps: int) -> Clock:
    """The clock of a stage that begins, with what the run directory's plan says."""
    try:
        plan = seconds_to_come(out, stages, stage) if out is not None else None
    except ArtifactError:  # a damaged plan must not stop the run; the report says that it is damaged
        plan = None
    return Clock(first_step, steps, plan)


class Bar:
    """stage, bar, step i/n, the shown metrics, elapsed time and time left; what is said scrolls by above."""

    def __init__(self, out: Path | None = None) -> None:
        self.out = out
        self.console = Console(stderr=True, highlight=False)
        self.display: RichProgress | None = None
        self.task = TaskID(0)
        self.stages: Sequence[str] = ()
        self.clock = Clock(0, 0)

    def run_begins(self, stages: Sequence[str]) -> None:
        self.stages = stages

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        self.stage_ends(stage)
        self.display = RichProgress(
            TextColumn("[bold]{task.description}"),
            TextColumn("{task.fields[place]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[shown]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
        )
        self.clock = clock_of(self.out, self.stages, stage, first_step, steps)
        place, left = place_of(stage, self.stages), self.clock.left_text(first_step)
        self.task = self.display.add_task(stage, total=steps, completed=first_step, shown="", left=left, place=place)
        self.display.start()

    def row(self, stage: str, row: dict[str, Any]) -> None:
        if self.display is not None:
            done = self.clock.count(row)
            left = self.clock.left_text(done)
            self.display.update(self.task, total=self.clock.steps, completed=done, shown=shown_metrics(row), left=left)

    def stage_ends(self, stage: str) -> None:
        if self.display is not None:
            self.display.stop()
            self.display = None

    def say(self, line: str) -> None:
        self.console.print(Text(line))


class Lines:
    """One line now and then on standard error, for logs."""

    def __init__(self, out: Path | None = None) -> None:
        self.out = out
        self.clock = Clock(0, 0)
        self.printed = 0.0
        self.stages: Sequence[str] = ()

    def run_begins(self, stages: Sequence[str]) -> None:
        self.stages = stages

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        self.clock, self.printed = clock_of(self.out, self.stages, stage, first_step, steps), 0.0
        place = place_of(stage, self.stages)
        begun = f"{stage}: {f'{place}, ' if place else ''}{steps} {'step' if steps == 1 else 'steps'}"
        going_on = f", going on from step {first_step}" if first_step else ""
        self.say(begun + going_on + (f"; {left}" if (left := self.clock.left_text(first_step)) else ""))

    def row(self, stage: str, row: dict[str, Any]) -> None:
        now, done = time.monotonic(), self.clock.count(row)
        if now - self.printed >= SECONDS_BETWEEN_LINES or done == self.clock.steps:
            self.printed = now
            times = ", ".join(filter(None, (minutes_text(self.clock.elapsed()), self.clock.left_text(done))))
            self.say(f"{stage}: {done}/{self.clock.steps}  {shown_metrics(row)}  {times}")

    def stage_ends(self, stage: str) -> None:
        pass

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class Both:
    """Several watchers as one."""

    def __init__(self, *watchers: Progress):
        self.watchers = watchers

    def run_begins(self, stages: Sequence[str]) -> None:
        for watcher in self.watchers:
            watcher.run_begins(stages)

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
