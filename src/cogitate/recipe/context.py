"""What the runner hands to a stage beside its settings and inputs: a backend, a log, a place for checkpoints, a voice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cogitate.runtime import MetricsLog, interruption_requested


class Progress(Protocol):
    """Whoever watches a run: a terminal's progress bar, plain log lines, TensorBoard. All calls are cheap and optional."""

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None:
        """A stage will write metrics rows of steps first_step .. steps - 1 (first_step > 0: it was resumed)."""

    def row(self, stage: str, row: dict[str, Any]) -> None:
        """One row went to the stage's metrics.jsonl."""

    def stage_ends(self, stage: str) -> None:
        """The stage has finished or stopped."""

    def say(self, line: str) -> None:
        """One line a person should read: a warning, a stage skipped."""


class Silence:
    """A Progress that shows nothing."""

    def stage_begins(self, stage: str, first_step: int, steps: int) -> None: ...

    def row(self, stage: str, row: dict[str, Any]) -> None: ...

    def stage_ends(self, stage: str) -> None: ...

    def say(self, line: str) -> None: ...


@dataclass(frozen=True, slots=True)
class StageContext:
    """
    Attributes:
        stage: this stage's name in the graph, e.g. "r1_zero" or "evaluate.base"; its settings are the section of that name.
        backend: makes generators, graders and learners (recipe/local_backend.py).
        metrics: out/metrics.jsonl. Each row moves the progress display, which shows whichever of `loss`, `reward`,
            `accuracy`, `completion_tokens`, `tokens_per_second` it holds. A resumed stage first calls `metrics.truncate(step)`.
        checkpoint: a directory that survives kills until the stage is finished. Empty at the first start; then so is `out`.
            After a kill `out` is as the stage left it, `.tmp` files removed: write the same names again.
        progress: see `begin` and `say`.
    """

    stage: str
    backend: Any
    metrics: MetricsLog
    checkpoint: Path
    progress: Progress

    def begin(self, steps: int, first_step: int = 0) -> None:
        """Say how many steps there are and which is next: the n of the progress bar."""
        self.progress.stage_begins(self.stage, first_step, steps)

    def say(self, line: str) -> None:
        """Show one line to the user without disturbing the progress bar."""
        self.progress.say(f"{self.stage}: {line}")

    def interrupted(self) -> bool:
        """True after SIGINT or SIGTERM: write a checkpoint, then call `runtime.raise_interrupted("step 12 of r1_zero")`."""
        return interruption_requested()
