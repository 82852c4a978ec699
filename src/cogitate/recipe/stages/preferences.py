"""preferences: candidate answers of the SFT model, compared in pairs and labelled safe or unsafe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.recipe.context import StageContext
from cogitate.recipe.data.preferences import SECTIONS, check_preferences, make_preferences, preference_files
from cogitate.types import Artifact

VERSION = 2

__all__ = ["SECTIONS", "VERSION", "check", "files", "run"]


def files(config: Config) -> list[Path]:
    return preference_files(config)


def check(config: Config, stage: str) -> None:
    """Refuse bad data before any time is spent."""
    check_preferences(config)


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    (model,) = inputs.values()
    return make_preferences(config, model.path, out, context)
