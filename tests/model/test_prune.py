"""Students made of every n-th layer."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cogitate.model.config import ModelConfig
from cogitate.model.prune import every_nth_layer, mlp_of, most_active_neurons, with_neurons
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


def test_the_neurons_that_add_most_are_kept() -> None:
    torch.manual_seed(0)
    model = Transformer(ModelConfig.from_dict({**LLAMA, "num_hidden_layers": 2}))
    with torch.no_grad():
        for layer, dead in zip(model.layers, ([0, 5, 7], [1, 2, 23]), strict=True):
            mlp_of(layer, 0).down_proj.weight[:, dead] = 0.0
    kept = most_active_neurons(model, [TOKENS[:1], TOKENS[1:]], 21)
    assert [sorted(set(range(24)) - set(neurons.tolist())) for neurons in kept] == [[0, 5, 7], [1, 2, 23]]
    assert torch.equal(with_neurons(model, kept)(TOKENS), model(TOKENS))  # those left out had added nothing


def test_a_neuron_that_is_always_silent_goes_before_one_with_a_small_column() -> None:
    torch.manual_seed(0)
    model = Transformer(ModelConfig.from_dict({**LLAMA, "num_hidden_layers": 1}))
    mlp = mlp_of(model.layers[0], 0)
    with torch.no_grad():
        mlp.gate_up_proj.weight[24 + 3] = 0.0  # neuron 3's up: its activation is 0 whatever its column is
        mlp.down_proj.weight[:, 3] *= 100.0
    (kept,) = most_active_neurons(model, [TOKENS], 23)
    assert 3 not in kept.tolist()


def test_narrower_layers_compute_what_their_neurons_compute() -> None:
    torch.manual_seed(0)
    model = Transformer(ModelConfig.from_dict({**LLAMA, "mlp_bias": True})).to(torch.bfloat16)
    kept = [torch.tensor([1, 4, 23])] * 5
    student = with_neurons(model, kept)
    assert student.config.intermediate_size == 3
    assert {parameter.dtype for parameter in student.parameters()} == {torch.bfloat16}
    cut, whole = (mlp_of(one.layers[2], 2).gate_up_proj.bias for one in (student, model))
    assert cut is not None
    assert whole is not None
    assert torch.equal(cut[3:], whole[[25, 28, 47]])
    with torch.no_grad():
        for layer in model.layers:
            gone = [neuron for neuron in range(24) if neuron not in (1, 4, 23)]
            mlp_of(layer, 0).down_proj.weight[:, gone] = 0.0
    assert torch.allclose(student(TOKENS).float(), model(TOKENS).float(), atol=0.05)


def test_experts_and_mtp_blocks_have_no_neurons_to_choose(make_micro_model: Callable[..., Transformer]) -> None:
    experts = {"num_experts": 3, "num_experts_per_tok": 1, "moe_intermediate_size": 8}
    model = Transformer(ModelConfig.from_dict({**LLAMA, "model_type": "qwen3_moe", **experts}))
    with pytest.raises(ValueError, match="layer 0 has experts"):
        most_active_neurons(model, [TOKENS], 4)
    with pytest.raises(ValueError, match="has an MTP block"):
        most_active_neurons(make_micro_model(), [TOKENS], 4)
    with pytest.raises(ValueError, match="no texts"):
        most_active_neurons(model, [], 4)
