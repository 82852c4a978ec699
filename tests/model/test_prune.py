"""Students made of every n-th layer."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cogitate.model.config import ModelConfig
from cogitate.model.prune import every_nth_layer
from cogitate.model.transformer import Transformer

LLAMA = {
    "model_type": "llama", "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 5,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32, "tie_word_embeddings": True,
}  # fmt: skip
TOKENS = torch.randint(0, 64, (2, 7), generator=torch.Generator().manual_seed(1))


def test_it_computes_what_the_kept_layers_compute_one_after_the_other() -> None:
    torch.manual_seed(0)
    model = Transformer(ModelConfig.from_dict(LLAMA))
    student = every_nth_layer(model, 2)
    assert student.config.num_hidden_layers == 3
    model.layers = torch.nn.ModuleList([model.layers[0], model.layers[2], model.layers[4]])
    assert torch.equal(student(TOKENS), model(TOKENS))
    assert torch.equal(student.embed_tokens.weight, model.embed_tokens.weight)


def test_its_weights_are_copies() -> None:
    model = Transformer(ModelConfig.from_dict(LLAMA))
    student = every_nth_layer(model, 4)
    before = model(TOKENS).clone()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert torch.equal(model(TOKENS), before)


def test_dense_and_expert_layers_stay_what_they_are_and_so_does_the_type(make_micro_model: Callable[..., Transformer]) -> None:
    model = make_micro_model().to(torch.bfloat16)  # a dense layer and one of experts, and an MTP block
    whole = every_nth_layer(model, 1)
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in model.state_dict().items())
    student = every_nth_layer(model, 2)
    assert (student.config.num_hidden_layers, student.config.first_k_dense_replace) == (1, 1)
    assert {parameter.dtype for parameter in student.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("switches", [{"decoder_sparse_step": 2}, {"mlp_only_layers": [0, 2]}])
def test_experts_stay_in_the_layers_that_had_them(switches: dict[str, Any]) -> None:
    experts = {"num_experts": 3, "num_experts_per_tok": 1, "moe_intermediate_size": 8}
    model = Transformer(ModelConfig.from_dict({**LLAMA, "model_type": "qwen3_moe", **experts, **switches}))
    student = every_nth_layer(model, 3)  # layers 0 and 3
    assert [student.config.is_moe_layer(layer) for layer in (0, 1)] == [False, True]
    model.layers = torch.nn.ModuleList([model.layers[0], model.layers[3]])
    assert torch.equal(student(TOKENS), model(TOKENS))


@pytest.mark.parametrize("n", [2, 3])
def test_window_kinds_go_with_their_layers(n: int) -> None:
    kinds = ["full_attention", "sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
    config = {**LLAMA, "model_type": "qwen2", "layer_types": kinds, "sliding_window": 4, "use_sliding_window": True}
    student = every_nth_layer(Transformer(ModelConfig.from_dict(config)), n)
    assert student.config.layer_types == kinds[::n]
