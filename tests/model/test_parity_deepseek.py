"""deepseek_v3 against transformers, through a directory that we write and both read."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from cogitate.model.config import TINY, ModelConfig
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer
from tests.model.parity import (
    assert_greedy_decoding_is_the_same,
    assert_padded_and_packed_rows_are_the_texts_alone,
    random_tokens,
    read_by_transformers,
    relative_difference,
    with_noise,
)

YARN = {
    "rope_type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 128,
    "beta_fast": 32,
    "beta_slow": 1,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
SWITCHES: dict[str, dict[str, Any]] = {
    "tiny": {},
    "query_latent": {"q_lora_rank": 48},
    "group_limited": {"n_group": 4, "topk_group": 2, "num_experts_per_tok": 3},
    "scaled_routing": {"routed_scaling_factor": 2.5, "norm_topk_prob": False},
    "two_shared_experts": {"n_shared_experts": 2},
    "all_dense": {"first_k_dense_replace": 4, "num_nextn_predict_layers": 0},
    "no_dense": {"first_k_dense_replace": 0},
    "biases": {"attention_bias": True},
    "biases_query_latent": {"attention_bias": True, "q_lora_rank": 32},
    "narrow_values": {"v_head_dim": 24},
    "wide_values": {"v_head_dim": 40},
    "yarn": {"rope_scaling": YARN},
    "yarn_mscale": {"rope_scaling": {**YARN, "mscale": 0.707, "mscale_all_dim": 0.5}},
    "halves": {"rope_interleave": False},
    "tied": {"tie_word_embeddings": True},
    "as_released": {
        "q_lora_rank": 48, "n_group": 4, "topk_group": 2, "num_experts_per_tok": 4, "routed_scaling_factor": 2.5,
        "first_k_dense_replace": 2, "rope_scaling": YARN,
    },
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _quiet_transformers() -> None:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def random_model(switches: dict[str, Any]) -> Transformer:
    """Weights large enough that every part moves the logits; norms, biases and routing biases are not trivial."""
    config = ModelConfig.from_dict({**TINY.to_dict(), "vocab_size": 300, "initializer_range": 0.08, **switches})
    torch.manual_seed(7)
    return with_noise(Transformer(config).eval())


def both_models(directory: Path, switches: dict[str, Any]) -> tuple[Transformer, PreTrainedModel]:
    model = random_model(switches)
    return model, read_by_transformers(model, directory)


@pytest.mark.parametrize("name", SWITCHES)
def test_logits_and_gradients_equal_those_of_transformers(name: str, tmp_path: Path) -> None:
    model, reference = both_models(tmp_path, SWITCHES[name])
    tokens = random_tokens(2, 60)
    expected = reference(tokens, use_cache=False).logits
    got = model.logits(model(tokens))
    assert relative_difference(got, expected) < 1e-5

    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    (expected * direction).sum().backward()
    (got * direction).sum().backward()
    pairs = {
        "model.embed_tokens.weight": model.embed_tokens.weight,
        "model.layers.0.self_attn.kv_b_proj.weight": model.get_parameter("layers.0.self_attn.kv_b_proj.weight"),
        "model.layers.1.input_layernorm.weight": model.get_parameter("layers.1.input_layernorm.weight"),
        "model.norm.weight": model.norm.weight,
    }
    if model.config.is_moe_layer(3):
        for part in ("gate.weight", "experts.gate_up_proj", "experts.down_proj", "shared_experts.down_proj.weight"):
            pairs[f"model.layers.3.mlp.{part}"] = model.get_parameter(f"layers.3.mlp.{part}")
    for published, parameter in pairs.items():
        gradient = reference.get_parameter(published).grad
        assert gradient is not None
        assert parameter.grad is not None
        assert relative_difference(parameter.grad, gradient) < 1e-4, published


@pytest.mark.parametrize("name", SWITCHES)
def test_padded_and_packed_rows_equal_transformers_run_on_each_text_alone(name: str, tmp_path: Path) -> None:
    assert_padded_and_packed_rows_are_the_texts_alone(*both_models(tmp_path, SWITCHES[name]))


@pytest.mark.parametrize("name", SWITCHES)
def test_greedy_decoding_through_the_latent_cache_gives_the_tokens_of_transformers(name: str, tmp_path: Path) -> None:
    """transformers keeps whole keys and values."""
    assert_greedy_decoding_is_the_same(*both_models(tmp_path, SWITCHES[name]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("released_layout", [False, True])
def test_importing_an_export_gives_the_same_bits(released_layout: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    model = random_model({"q_lora_rank": 48}).to(dtype)
    save_model(model, tmp_path, released_layout=released_layout, shard_bytes=1_000_000)
    again = load_model(tmp_path, dtype=dtype)
    assert again.config == model.config
    for (name, mine), (other_name, other) in zip(model.state_dict().items(), again.state_dict().items(), strict=True):
        assert name == other_name
        assert torch.equal(mine, other), name
    assert all(int(router.load.sum()) == 0 for router in again.routers())


@torch.no_grad()
@pytest.mark.parametrize("name", ["query_latent", "biases", "yarn_mscale", "as_released"])
def test_a_directory_written_by_transformers_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    save_model(random_model(SWITCHES[name]), tmp_path / "config")
    torch.manual_seed(3)
    reference = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path / "config")).eval()
    reference.save_pretrained(tmp_path / "theirs")
    model = load_model(tmp_path / "theirs")
    tokens = random_tokens(2, 30)
    assert relative_difference(model.logits(model(tokens)), reference(tokens, use_cache=False).logits) < 1e-5


@torch.no_grad()
def test_multi_token_prediction_equals_that_of_transformers(tmp_path: Path) -> None:
    """transformers runs the block on tokens shifted by one; its positions are those of the shifted tokens."""
    from transformers.modeling_layers import MtpModel

    model = random_model({})
    save_model(model, tmp_path, released_layout=True)
    main = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    # It knows the layer number of the released model alone.
    main._keys_to_ignore_on_load_unexpected = [r"model\.layers\.4.*"]
    reference = MtpModel.from_pretrained(main).eval()
    tokens = random_tokens(1, 30)
    hidden = model(tokens)
    positions = torch.arange(1, 30)[None]
    expected = reference.forward_layer(0, hidden[:, :-1], positions, None, input_ids=tokens[:, 1:])
    got = model.mtp_hidden(hidden, tokens)
    assert relative_difference(got[:, :-1], expected) < 1e-5
    assert relative_difference(model.logits(got[:, :-1]), main.lm_head(expected)) < 1e-5
