"""A toy stage with a fault: its noise depends on how often it was started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.errors import DataError
from cogitate.recipe.stage import Inputs, StageContext
from tests.recipe import toy_stage


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    settings = toy_stage.settings_of(config)
    if settings.learning_rate == 0.07:
        raise DataError("learning_rate = 0.07: refused by the stage as it starts")
    started = context.checkpoint / "started"
    count = int(started.read_text()) if started.is_file() else 0
    started.write_text(str(count + 1))
    noisy = config.model_copy(update={"base": settings.model_copy(update={"learning_rate": 0.05 + 0.01 * count})})
    return toy_stage.run(noisy, inputs, out, context)


FORGETFUL = replace(toy_stage.TOY, name="forgetful", file="tests.recipe.forgetful_stage")
