"""Experts as wide as vLLM's kernels for processors need them.

vLLM pads narrower ones itself when it starts, and then takes no new weights: the padded tensors have another shape than those
that come.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from cogitate.errors import ConfigError
from cogitate.runtime import write_json

WIDTH = "moe_intermediate_size"  # in config.json
ALIGNMENT = 32  # of this width
EXPERTS = re.compile(r"\.mlp\.(experts\.\d+|shared_experts)\.")
PROJECTION = re.compile(r"\.(gate|up|down)_proj\.weight$")


def pad_experts(directory: Path) -> None:
    """Widen the experts of a model directory with zeros, in place, to the next multiple of 32.

    What is added contributes silu(0) * 0 = 0 to an expert's result: the model computes the same.

    Raises:
        ConfigError: the experts are quantised.
    """
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    width = config.get(WIDTH) or 0
    padded = -(-width // ALIGNMENT) * ALIGNMENT
    if width == padded:
        return
    for path in sorted(directory.glob("*.safetensors")):
        tensors = load_file(path)
        save_file({name: _widened(name, each, width, padded) for name, each in tensors.items()}, path, {"format": "pt"})
    write_json(directory / "config.json", {**config, WIDTH: padded})


def _widened(name: str, tensor: Tensor, width: int, padded: int) -> Tensor:
    """A tensor of an expert with zeros; shared experts are one of several times the width. Others as they are."""
    if not EXPERTS.search(name):
        return tensor
    projection = PROJECTION.search(name)
    if projection is None:
        raise ConfigError(
            f"{WIDTH} = {width} and {name}: vLLM on processors needs experts of a width that is a multiple of {ALIGNMENT}, and "
            "quantised ones cannot be padded: set cluster.engine=own"
        )
    inner = tensor.shape[1 if projection[1] == "down" else 0]
    assert inner % width == 0, (name, tuple(tensor.shape), width)
    more = inner // width * (padded - width)
    return F.pad(tensor, (0, more) if projection[1] == "down" else (0, 0, 0, more))
