"""The evaluation of toy_stage's network: its mean squared error on inputs it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from cogitate.config import Config
from cogitate.recipe.stage import Inputs, Kind, StageContext
from cogitate.runtime import write_json


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    (artifact,) = inputs.values()
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    model.load_state_dict(load_file(artifact.path / "model.safetensors"))
    output = model(torch.randn(100, 4, generator=torch.Generator().manual_seed(config.seed)))
    value = output.square().mean().item()
    write_json(out / "evaluation.json", {"all": {"pass@1": {"value": value, "ci95": [value, value]}}})
    return {"left_out": "nothing"}


TOY_EVALUATE = Kind("toy_evaluate", "tests.recipe.toy_evaluate", settings=None, reads=("seed", "evaluate"), makes="metrics")
