"""Loop 2 of 3, preferences: a learner sees pairs or labelled texts. Reward models and DPO use it.

Which items a step learns from is a pure function of the step, so that a resumed run reads the same ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from cogitate.backend import Learner
from cogitate.config import PreferenceTrainingConfig
from cogitate.errors import DataError
from cogitate.runtime import MetricsLog, interruption_requested, raise_interrupted
from cogitate.train.checkpoint import restore
from cogitate.train.divergence import check_finite
from cogitate.train.optimisers.schedule import warmup_cosine
from cogitate.train.pools import epoch_order
from cogitate.train.rows.packing import split_evenly

Item = TypeVar("Item", contravariant=True)
Items = TypeVar("Items")


class ItemLearner(Learner, Protocol[Item]):
    """A PairLearner or a LabelLearner: what it learns from is up to it."""

    def update(self, items: Sequence[Item], learning_rate: float) -> dict[str, float]:
        """One optimiser step over all items."""


@dataclass(frozen=True, slots=True)
class PreferenceRun:
    """What one run of the loop is given.

    Attributes:
        name: of what is trained; part of the seed of the order, and in every row of the log.
        first_row: the number of this run's first row in the log, where several runs share one.
    """

    name: str
    seed: int
    config: PreferenceTrainingConfig
    metrics: MetricsLog
    checkpoint: Path
    begin: Callable[[int, int], None]
    first_row: int = 0


def train_preferences(learner: ItemLearner[Items], items: Sequence[Items], sizes: Sequence[int], run: PreferenceRun) -> int:
    """Train from the last checkpoint if there is one. The learner holds the trained model afterwards.

    Args:
        sizes: tokens of each item, for the log.

    Returns:
        the number of steps.

    Raises:
        DataError: there is no item.
        TrainingDivergedError, Interrupted: as in train/supervised.py.
    """
    config = run.config
    steps = steps_in_all(len(items), config, run.name)
    first_step = int(restore(learner, run.checkpoint).get("step", 0))
    if first_step == steps:
        return steps
    run.metrics.truncate(run.first_row + first_step)
    run.begin(run.first_row + steps, run.first_row + first_step)
    for step in range(first_step, steps):
        started = time.perf_counter()
        rate = warmup_cosine(
            step, steps=steps, peak=config.learning_rate, final=config.final_learning_rate, warmup_steps=config.warmup_steps
        )
        chosen = items_of_step(step, len(items), config, run.seed, run.name)
        row = learner.update([items[index] for index in chosen], rate)
        check_finite(row, f"step {step} of {run.name}", run.checkpoint)
        speed = sum(sizes[index] for index in chosen) / (time.perf_counter() - started)
        run.metrics.write(
            {"step": run.first_row + step, "model": run.name, **row, "learning_rate": rate, "tokens_per_second": speed}
        )
        stop = interruption_requested()
        if stop or step == steps - 1 or (step + 1) % config.checkpoint_every == 0:
            learner.save(run.checkpoint, step + 1, {})
        if stop:
            raise_interrupted(f"step {step + 1} of {run.name}")
    return steps


def steps_in_all(items: int, config: PreferenceTrainingConfig, name: str) -> int:
    """Whole epochs, each in batches of `config.batch` items as nearly as they can be of equal size."""
    if not items:
        raise DataError(f"{name}: there is nothing to learn from")
    return config.epochs * steps_of_epoch(items, config.batch)


def steps_of_epoch(items: int, batch: int) -> int:
    return max(1, round(items / batch))


def items_of_step(step: int, items: int, config: PreferenceTrainingConfig, seed: int, name: str) -> list[int]:
    """The items of a step: every epoch goes through all of them in an order of its own."""
    per_epoch = steps_of_epoch(items, config.batch)
    epoch, place = divmod(step, per_epoch)
    order = epoch_order(seed, name, epoch, items)
    return [order[index] for index in split_evenly(items, per_epoch)[place]]
