"""A loss that is NaN or infinite ends training at once, before anything made from it is saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from cogitate.errors import TrainingDivergedError
from cogitate.train.checkpoint import latest_checkpoint

WATCHED = ("loss", "mtp_loss", "gradient_norm")


def check_finite(row: Mapping[str, float], where: str, checkpoint: Path) -> None:
    """Refuse metrics of a step whose losses or gradient are not finite.

    Raises:
        TrainingDivergedError: names the last checkpoint, which is good since it was written before.
    """
    for name in WATCHED:
        if not math.isfinite(row.get(name, 0.0)):
            raise diverged(f"{where}: the {name.replace('_', ' ')} is {row[name]}", checkpoint)


def diverged(what: str, checkpoint: Path) -> TrainingDivergedError:
    """The error, with where one can go on from and what to do."""
    newest = latest_checkpoint(checkpoint)
    kept = f"the last good checkpoint is {newest}" if newest else "there is no checkpoint yet"
    return TrainingDivergedError(f"{what}; {kept}; lower the learning rate")
