"""Models of each family, each as small as it can be, and what is measured of one in training."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cogitate.model.config import ModelConfig
from cogitate.model.transformer import Transformer
from cogitate.train.sharded.parts import whole
from tests.conftest import micro_config

VOCABULARY = 301  # is not divided by two: a rank's last part of the embedding is shorter
SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.05,
}  # fmt: skip
FAMILIES = ("llama", "qwen2", "deepseek_v3")

Numbers = dict[str, Any]  # arrays of NumPy by name


def make_model(family: str, seed: int = 0, dtype: torch.dtype = torch.float32) -> Transformer:
    torch.manual_seed(seed)
    settings = {"model_type": family, "tie_word_embeddings": family == "llama", **SMALL}
    config = micro_config(VOCABULARY) if family == "deepseek_v3" else ModelConfig.from_dict(settings)
    return Transformer(config).to(dtype)


def weights_of(model: nn.Module) -> Numbers:
    return {name: whole(tensor).float().numpy().copy() for name, tensor in model.state_dict().items()}


def gradients_of(model: nn.Module) -> Numbers:
    parameters = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: whole(gradient).numpy().copy() for name, gradient in parameters.items()}


def assert_equal(one: Numbers, other: Numbers, relative: float) -> None:
    """Each array differs by at most so much of its largest number."""
    assert one.keys() == other.keys()
    for name, expected in one.items():
        largest = float(abs(expected).max(initial=0.0))
        assert float(abs(other[name] - expected).max(initial=0.0)) <= relative * largest, name
