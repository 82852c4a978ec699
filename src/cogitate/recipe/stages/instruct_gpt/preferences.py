"""preferences: candidate answers of the SFT model, compared in pairs and labelled safe or unsafe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.recipe.data.preferences import check_preferences, make_preferences, preference_files
from cogitate.recipe.stage import Inputs, Stage, StageContext


def files(config: Config, stage: Stage) -> list[Path]:
    return preference_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    check_preferences(config)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    (model,) = inputs.values()
    return make_preferences(config, model.path, out, context)
