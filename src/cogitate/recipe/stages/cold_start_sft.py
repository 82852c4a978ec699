"""r1_dev1: SFT of the base model on the cold-start data (R1, section 2.3.1): readable thinking, then a summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.recipe.context import StageContext
from cogitate.recipe.stages.fine_tuning import SECTIONS, check_given_data, fine_tune
from cogitate.types import Artifact

VERSION = 2

__all__ = ["SECTIONS", "VERSION", "check", "run"]


def check(config: Config, stage: str) -> None:
    """Refuse a given data set that cannot be read before any time is spent."""
    check_given_data(config, stage)


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    return fine_tune(config, inputs, out, context)
