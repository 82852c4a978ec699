"""Engines on the stand-in that are about to take a step."""

from __future__ import annotations

import torch

from cogitate.engine.generator import Engine
from cogitate.engine.steps.device import DeviceSteps
from cogitate.engine.steps.regions import Captured
from cogitate.model.config import ModelConfig
from tests.engine.test_generator import make_model, prompts_of, request
from tests.on_device.stand_in_device import KIND


def started(config: ModelConfig, dtype: torch.dtype = torch.float32, *, captured: bool = False) -> Engine:
    """Two completions at temperature 1 run, whose first tokens are there."""
    engine = Engine(make_model(config), end_id=-1, max_batch=2, device=KIND, dtype=dtype, captured_steps=captured)
    engine.submit(request("a", prompts_of([5])[0], seeds=(1, 2)))
    engine.poll()
    return engine


def regions_of(engine: Engine) -> Captured:
    """What captures an engine's steps."""
    steps = engine._taking.steps
    assert isinstance(steps, DeviceSteps)
    assert isinstance(steps.regions, Captured)
    return steps.regions
