"""student_base_*: a dense Llama or Qwen2, pretrained on the corpus that base read; what distillation and RL alone start from.

The paper's students are published models (R1, section 2.4). Ours are small enough to be made here: each step reads the very
documents of the same step of base.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, StudentBaseConfig
from cogitate.errors import ConfigError
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.recipe.stages.pretrain import check_architecture, pretrain


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse a missing or wrong architecture, and a setting of pruned students."""
    settings = config.section(stage.name, StudentBaseConfig)
    if settings.every_nth_layer:
        raise ConfigError(f"{stage.name}.every_nth_layer: has no effect in a stage of kind pretrain_student; take kind prune")
    check_architecture(settings.model, config.tokenizer, f"{stage.name}.model")


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    settings = config.section(context.stage, StudentBaseConfig)
    return pretrain(config, settings.model, settings, out, context)
