"""A small real stage for tests of the runner: a two-layer network learns a random function by SGD with momentum.

As in the real stages, batches come from a generator whose state is in the checkpoint, and the weights of an interrupted and
an uninterrupted run must be equal to the last bit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cogitate.config import Config, PretrainConfig
from cogitate.errors import DataError
from cogitate.recipe.stage import Inputs, Kind, Stage, StageContext
from cogitate.runtime import atomic_write, derive_seed, raise_interrupted
from cogitate.train.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    restore_training_tensors,
    save_checkpoint,
    training_tensors,
)


def files(config: Config, stage: Stage) -> list[Path]:
    function = config.rewards.custom.partition(":")[0]
    return [Path(name) for name in (config.tasks.train, function) if name.endswith((".jsonl", ".py"))]


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    if settings_of(config).rows == 13:
        raise DataError("base.rows = 13: refused before anything runs")


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    settings = settings_of(config)
    if settings.rows == 14:
        raise DataError("base.rows = 14: refused by the stage as it starts")
    generator = torch.Generator().manual_seed(derive_seed(config.seed, context.stage))
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    for artifact in inputs.values():
        model.load_state_dict(load_file(artifact.path / "model.safetensors"))
    target = torch.randn(4, 1, generator=generator)
    optimiser = torch.optim.SGD(model.parameters(), lr=settings.learning_rate, momentum=0.9)
    first_step = 0
    checkpoint = latest_checkpoint(context.checkpoint)
    if checkpoint is not None:
        stored, state = load_checkpoint(checkpoint)
        generator.set_state(stored["generator"])
        restore_training_tensors(model, optimiser, stored, checkpoint)
        first_step = state["step"]
    context.metrics.truncate(first_step)
    context.begin(settings.steps, first_step)
    for step in range(first_step, settings.steps):
        x = torch.randn(16, 4, generator=generator)
        loss = (model(x) - x @ target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        context.metrics.write({"step": step, "loss": loss.item()})
        time.sleep(float(os.environ.get("TOY_STEP_SECONDS", "0")))
        stopping = context.interrupted()
        if stopping or (step + 1) % settings.checkpoint_every == 0:
            tensors = {**training_tensors(model, optimiser), "generator": generator.get_state()}
            save_checkpoint(context.checkpoint, step + 1, tensors, {})
        if stopping:
            raise_interrupted(f"step {step + 1} of {context.stage}")
    with atomic_write(out / "model.safetensors") as temporary:
        save_file(model.state_dict(), temporary)
    return {}


def settings_of(config: Config) -> PretrainConfig:
    return config.section("base", PretrainConfig)


TOY = Kind(
    "toy",
    "tests.recipe.toy_stage",
    settings=None,
    reads=("seed", "tasks", "base"),
    sections={"base": PretrainConfig},
    makes="metrics",
    uses=("tasks.train",),
)
