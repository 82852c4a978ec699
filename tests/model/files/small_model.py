"""A small model with a mixture of experts and an MTP block, and changes to the files it is saved in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cogitate.model.config import TINY, ModelConfig
from cogitate.model.transformer import Transformer

SMALL = ModelConfig.from_dict({**TINY.to_dict(), "vocab_size": 64, "num_hidden_layers": 2, "n_routed_experts": 4})


def small_model(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(SMALL).eval()


def same_weights(a: Transformer, b: Transformer) -> bool:
    other = b.state_dict()
    return all(torch.equal(tensor, other[name]) for name, tensor in a.state_dict().items())


def edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def edit_tensors(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
