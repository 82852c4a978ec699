"""student_base_*: a dense Llama or Qwen2, pretrained on the corpus that base read; what distillation and RL alone start from.

The paper's students are published models (R1, section 2.4). Ours are small enough to be made here: each step reads the very
documents of the same step of base.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config, StudentBaseConfig
from cogitate.errors import ConfigError
from cogitate.recipe.context import StageContext
from cogitate.recipe.stages.pretraining import check_architecture, pretrain
from cogitate.types import Artifact

VERSION = 1
SECTIONS = ("tokenizer", "{stage}", "runtime.dtype")


def check(config: Config, stage: str) -> None:
    """Refuse a missing or wrong architecture before any time is spent."""
    if getattr(config, stage).every_nth_layer:
        raise ConfigError(f"{stage}.every_nth_layer: has no effect in graph {config.graph}; set graph=r1_pruned_student")
    check_architecture(getattr(config, stage).model, config.tokenizer, f"{stage}.model")


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    settings: StudentBaseConfig = getattr(config, context.stage)
    return pretrain(config.tokenizer, settings.model, settings, context.stage, out, context)
