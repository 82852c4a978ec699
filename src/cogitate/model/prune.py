"""A smaller model made of some layers of a larger one: what a student starts from where nothing smaller is published."""

from __future__ import annotations

import re
from typing import Any

import torch

from cogitate.model.config import ModelConfig
from cogitate.model.transformer import Transformer

_LAYER = re.compile(r"layers\.(\d+)\.(.+)")


def every_nth_layer(model: Transformer, n: int) -> Transformer:
    """Layers 0, n, 2n ... of a model between its embeddings and its head; all weights are copies.

    The layers have not learnt to work on each other's outputs: until it is trained further the model talks nonsense.
    """
    kept = range(0, model.config.num_hidden_layers, n)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are overwritten
        student = Transformer(pruned_config(model.config, kept))
    place = {layer: number for number, layer in enumerate(kept)}
    weights = {}
    for name, tensor in model.state_dict().items():
        match = _LAYER.fullmatch(name)
        if match is None:
            weights[name] = tensor.clone()
        elif int(match[1]) in place:
            weights[f"layers.{place[int(match[1])]}.{match[2]}"] = tensor.clone()
    student.to(dtype=next(model.parameters()).dtype).load_state_dict(weights)
    return student


def pruned_config(config: ModelConfig, kept: range) -> ModelConfig:
    """The same architecture with the layers of `kept` alone, each of the kind it was."""
    changed: dict[str, Any] = {
        "num_hidden_layers": len(kept),
        "max_window_layers": sum(layer < config.max_window_layers for layer in kept),
    }
    if config.layer_types is not None:
        changed["layer_types"] = [config.layer_types[layer] for layer in kept]
    if config.mlp_only_layers or config.decoder_sparse_step > 1:
        changed["decoder_sparse_step"] = 1
        changed["mlp_only_layers"] = [new for new, old in enumerate(kept) if not config.is_moe_layer(old)]
    else:
        changed["first_k_dense_replace"] = sum(layer < config.first_k_dense_replace for layer in kept)
    return config.model_copy(update=changed)
