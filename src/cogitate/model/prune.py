"""A smaller model made of a part of a larger one: what a student starts from where nothing smaller is published.

Depth: every n-th layer. Width: of each feed-forward the neurons that do most on given texts (Muralidharan et al., Compact
Language Models via Pruning and Knowledge Distillation, arXiv:2407.14679, section 2.2), whose importance is the mean activation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cogitate.model.config import ModelConfig
from cogitate.model.layers import MLP
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


@torch.no_grad()
def most_active_neurons(model: Transformer, texts: Sequence[Tensor], kept: int) -> list[Tensor]:
    """Of each layer, the neurons of its feed-forward that add most to the stream of hidden states: their numbers, ascending.

    A neuron adds its activation times its column of the down projection; what counts is the mean over all tokens of the
    activation's size, times the norm of the column.

    Args:
        texts: token ids (1, T) of each.
        kept: how many of a layer.

    Raises:
        ValueError: a layer has experts, of which each token sees a few, or there is an MTP block; or no texts.
    """
    if not texts:
        raise ValueError("no texts: nothing says which neurons are active")
    if model.mtp is not None:
        raise ValueError("the model has an MTP block, whose feed-forward is as wide as theirs; neurons cannot be chosen")
    downs = [mlp_of(layer, number).down_proj for number, layer in enumerate(model.layers)]
    sizes = [torch.zeros(down.weight.shape[1], dtype=torch.float64) for down in downs]

    def counting(number: int) -> Any:
        def count(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            sizes[number] += inputs[0].abs().flatten(0, -2).double().sum(0).cpu()

        return count

    hooks = [down.register_forward_pre_hook(counting(number)) for number, down in enumerate(downs)]
    try:
        for text in texts:
            model(text)
    finally:
        for hook in hooks:
            hook.remove()
    importance = [size * down.weight.double().norm(dim=0).cpu() for size, down in zip(sizes, downs, strict=True)]
    return [scores.topk(kept).indices.sort().values for scores in importance]


def with_neurons(model: Transformer, kept: Sequence[Tensor]) -> Transformer:
    """The model with these neurons of each layer's feed-forward alone, the same number in all; all weights are copies."""
    (width,) = {len(neurons) for neurons in kept}
    with torch.random.fork_rng(devices=[]):
        student = Transformer(model.config.model_copy(update={"intermediate_size": width}))
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for layer, neurons in enumerate(kept):
        place, inner = f"layers.{layer}.mlp", model.config.intermediate_size
        both = torch.cat([neurons, neurons + inner])  # gate and up are one matrix, gate above
        for name in ("weight", "bias"):
            if f"{place}.gate_up_proj.{name}" in weights:
                weights[f"{place}.gate_up_proj.{name}"] = weights[f"{place}.gate_up_proj.{name}"][both]
        weights[f"{place}.down_proj.weight"] = weights[f"{place}.down_proj.weight"][:, neurons]
    student.to(dtype=next(model.parameters()).dtype).load_state_dict(weights)
    return student


def mlp_of(layer: nn.Module, number: int) -> MLP:
    """A layer's feed-forward.

    Raises:
        ValueError: it is a mixture of experts.
    """
    mlp = layer.mlp
    if not isinstance(mlp, MLP):
        raise ValueError(f"layer {number} has experts; neurons can be chosen in dense layers alone")
    return mlp
