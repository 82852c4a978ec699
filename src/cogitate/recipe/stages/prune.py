"""student_base_*: every n-th layer of base, where base is a given model and nothing smaller of its kind is at hand.

The paper's students are published models (R1, section 2.4). This one keeps base's tokenizer, embeddings and head and has lost
the rest of its layers: it must learn to speak again, which distillation can teach it and rewards alone cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cogitate.config import Config, StudentBaseConfig
from cogitate.errors import ConfigError
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.prune import every_nth_layer
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.tokenizer.bpe import Tokenizer


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse a student that is not smaller, and an architecture that would have no effect."""
    settings, name = config.section(stage.name, StudentBaseConfig), stage.name
    if settings.every_nth_layer < 2:
        raise ConfigError(f"{name}.every_nth_layer = {settings.every_nth_layer}: 2 or more, since the student is part of base")
    if settings.model:
        raise ConfigError(f"{name}.model: has no effect in a stage of kind prune, which makes the student of base's layers")


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    (base,) = inputs.values()
    settings = config.section(context.stage, StudentBaseConfig)
    model = load_model(base.path, dtype=getattr(torch, config.runtime.dtype))
    context.begin(1)
    student = every_nth_layer(model, settings.every_nth_layer)
    save_model(student, out)
    Tokenizer.load(base.path).save(out)
    context.metrics.truncate(0)
    context.metrics.write({"step": 0, "layers": student.config.num_hidden_layers})
    return {
        "layers": student.config.num_hidden_layers,
        "of": model.config.num_hidden_layers,
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
    }
