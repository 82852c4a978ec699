"""Loop 1 of 3, supervised: a learner of next tokens sees packed rows. Pretraining, SFT and distillation use it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cogitate.backend import SupervisedLearner
from cogitate.config import SupervisedConfig
from cogitate.runtime import MetricsLog, interruption_requested, raise_interrupted
from cogitate.train.checkpoint import restore
from cogitate.train.divergence import check_finite
from cogitate.train.optimisers.schedule import warmup_cosine
from cogitate.types import PackedRows


@dataclass(frozen=True, slots=True)
class SupervisedRun:
    """What one run of the loop is given.

    Attributes:
        name: of the stage, for messages.
        steps: optimiser steps in all.
        batch_of: the packed rows of a step; a pure function of the step, so that a resumed run reads the same rows.
        measure: further metrics of a step (a held-out loss, say) or None.
        rate_of: the learning rate of a step; None: a cosine after the warm-up.
        first_row: what a step's number in the log is beyond its own, where others have logged before.
        begin: told (steps, first step) once it is known where the run starts.
    """

    name: str
    steps: int
    config: SupervisedConfig
    batch_of: Callable[[int], PackedRows]
    metrics: MetricsLog
    checkpoint: Path
    begin: Callable[[int, int], None]
    measure: Callable[[int, SupervisedLearner], dict[str, float] | None] = lambda step, learner: None
    rate_of: Callable[[int], float] | None = None
    first_row: int = 0


def train_supervised(learner: SupervisedLearner, run: SupervisedRun) -> None:
    """Train from the last checkpoint if there is one. The learner holds the trained model afterwards.

    Raises:
        TrainingDivergedError: the loss is NaN or infinite; the last checkpoint is kept and named.
        Interrupted: a signal asked to stop; the checkpoint has been written.
    """
    config = run.config
    first_step = int(restore(learner, run.checkpoint).get("step", 0))
    run.metrics.truncate(first_step + run.first_row)
    run.begin(run.steps, first_step)
    for step in range(first_step, run.steps):
        started = time.perf_counter()
        rate = rate_at(step, run)
        batch = run.batch_of(step)
        row = learner.update(batch, rate)
        check_finite(row, f"step {step} of {run.name}", run.checkpoint)
        seconds = time.perf_counter() - started
        tokens = int((batch.documents_BT >= 0).sum())
        extra = run.measure(step, learner) or {}
        run.metrics.write(
            {
                "step": step + run.first_row,
                **row,
                "learning_rate": rate,
                "tokens": tokens,
                "tokens_per_second": tokens / seconds,
                **extra,
            }
        )
        stop = interruption_requested()
        if stop or (step + 1) % config.checkpoint_every == 0:
            learner.save(run.checkpoint, step + 1, {})
        if stop:
            raise_interrupted(f"step {step + 1} of {run.name}")


def rate_at(step: int, run: SupervisedRun) -> float:
    """The learning rate of a step."""
    if run.rate_of is not None:
        return run.rate_of(step)
    config = run.config
    peak, final = config.learning_rate, config.final_learning_rate
    return warmup_cosine(step, steps=run.steps, peak=peak, final=final, warmup_steps=config.warmup_steps)
