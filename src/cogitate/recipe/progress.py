"""Whoever watches a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Progress(Protocol):
    """Whoever watches a run: a terminal's progress bar, plain log lines, TensorBoard. All calls are cheap and optional."""

    def run_begins(self, stages: Sequence[str]) -> None:
        """All stages of the run in order, those included that are finished already."""

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        """A stage will write metrics rows of steps first_step .. steps - 1 (first_step > 0: it was resumed)."""

    def row(self, stage: str, row: dict[str, Any]) -> None:
        """One row went to the stage's metrics.jsonl."""

    def stage_ends(self, stage: str) -> None:
        """The stage has finished or stopped."""

    def say(self, line: str) -> None:
        """One line a person should read: a warning, a stage skipped."""


class NullProgress:
    """A Progress that shows nothing."""

    def run_begins(self, stages: Sequence[str]) -> None: ...

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None: ...

    def row(self, stage: str, row: dict[str, Any]) -> None: ...

    def stage_ends(self, stage: str) -> None: ...

    def say(self, line: str) -> None: ...
