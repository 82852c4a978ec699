"""base: a tokenizer and a small DeepSeek-V3, pretrained on the generated corpus (DeepSeek-V3, sections 2.2 and 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.recipe.context import StageContext
from cogitate.recipe.stages.pretraining import check_architecture, pretrain
from cogitate.types import Artifact

VERSION = 2
SECTIONS = ("tokenizer", "model", "{stage}", "runtime.dtype")


def check(config: Config, stage: str) -> None:
    """Refuse a missing or wrong architecture before any time is spent."""
    check_architecture(config.model, config.tokenizer, "model")


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    return pretrain(config.tokenizer, config.model, config.base, "base", out, context)
