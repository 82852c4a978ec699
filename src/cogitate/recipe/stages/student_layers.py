"""student_base_*: every n-th layer of base, where base is a given model and nothing smaller of its kind is at hand.

The paper's students are published models (R1, section 2.4). This one keeps base's tokenizer, embeddings and head and has lost
the rest of its layers: it must learn to speak again, which distillation can teach it and rewards alone cannot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config, StudentBaseConfig
from cogitate.errors import ConfigError
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.prune import every_nth_layer
from cogitate.recipe.context import StageContext
from cogitate.types import Artifact

VERSION = 1
SECTIONS = ("{stage}.every_nth_layer", "runtime.dtype")


def check(config: Config, stage: str) -> None:
    """Refuse a student that is not smaller, and an architecture that would have no effect."""
    settings: StudentBaseConfig = getattr(config, stage)
    if settings.every_nth_layer < 2:
        raise ConfigError(f"{stage}.every_nth_layer = {settings.every_nth_layer}: 2 or more, since the student is part of base")
    if settings.model:
        raise ConfigError(f"{stage}.model: has no effect in graph {config.graph}, where the student is made of base's layers")


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    (base,) = inputs.values()
    settings: StudentBaseConfig = getattr(config, context.stage)
    model = load_model(base.path, dtype=context.backend.dtype)
    context.begin(1)
    student = every_nth_layer(model, settings.every_nth_layer)
    tokenizer = context.backend.tokenizer(base.path)
    save_model(student, out)
    tokenizer.save(out)
    context.metrics.truncate(0)
    context.metrics.write({"step": 0, "layers": student.config.num_hidden_layers})
    return {
        "layers": student.config.num_hidden_layers,
        "of": model.config.num_hidden_layers,
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
    }
