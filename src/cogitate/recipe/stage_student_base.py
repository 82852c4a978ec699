"""student_base_*: a dense Llama or Qwen2, pretrained on the corpus that base read; what distillation and RL alone start from.

The paper's students are published models (R1, section 2.4). Ours are small enough to be made here: each step reads the very
documents of the same step of base.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config, StudentBaseConfig
from cogitate.errors import ConfigError
from cogitate.model.config import ModelConfig
from cogitate.recipe.context import StageContext
from cogitate.recipe.pretraining import pretrain
from cogitate.types import Artifact

VERSION = 1
SECTIONS = ("tokenizer", "{stage}", "runtime.dtype")


def check(config: Config, stage: str) -> None:
    """Refuse a missing or wrong architecture before any time is spent."""
    settings: StudentBaseConfig = getattr(config, stage)
    if not settings.model:
        raise ConfigError(f"{stage}.model: empty; give it the keys of a config.json, model_type first")
    try:
        ModelConfig.from_dict({**settings.model, "vocab_size": config.tokenizer.vocab_size})
    except ConfigError as error:
        raise ConfigError(f"{stage}.model: {error}") from error


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    settings: StudentBaseConfig = getattr(config, context.stage)
    return pretrain(config.tokenizer, settings.model, settings, context.stage, out, context)
