"""llama, qwen2, qwen3 and qwen3_moe against transformers, through a directory that we write and both read."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from cogitate.model.config import ModelConfig
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

BASE: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.08,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}
SLIDING = {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1}
EXPERTS = {
    "model_type": "qwen3_moe",
    "head_dim": 16,
    "num_experts": 6,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 24,
}
SWITCHES: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama"},
    "llama_one_kv_head": {"model_type": "llama", "num_key_value_heads": 1},
    "llama_all_kv_heads": {"model_type": "llama", "num_key_value_heads": 4},
    "llama_wide_heads": {"model_type": "llama", "head_dim": 32},
    "llama_biases": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "llama_tied": {"model_type": "llama", "tie_word_embeddings": True},
    "llama_llama3_rope": {"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": LLAMA3_ROPE},
    "llama_linear_rope": {"model_type": "llama", "rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    "llama_yarn": {"model_type": "llama", "rope_scaling": YARN},
    "qwen2": {"model_type": "qwen2", "rope_theta": 1e6},
    "qwen2_yarn": {"model_type": "qwen2", "rope_scaling": YARN},
    "qwen2_sliding": {"model_type": "qwen2", **SLIDING},
    "qwen3": {"model_type": "qwen3", "head_dim": 16},
    "qwen3_wide_heads_tied": {"model_type": "qwen3", "head_dim": 32, "tie_word_embeddings": True},
    "qwen3_biases": {"model_type": "qwen3", "head_dim": 16, "attention_bias": True},
    "qwen3_sliding": {"model_type": "qwen3", "head_dim": 16, **SLIDING},
    "qwen3_moe": EXPERTS,
    "qwen3_moe_normalised": {**EXPERTS, "norm_topk_prob": True, "attention_bias": True},
    "qwen3_moe_every_second": {**EXPERTS, "decoder_sparse_step": 2, "tie_word_embeddings": True},
    "qwen3_moe_listed": {**EXPERTS, "mlp_only_layers": [0, 2], "norm_topk_prob": True, "rope_scaling": YARN},
}


@pytest.fixture(autouse=True, scope="module")
def _quiet_transformers() -> None:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def random_model(name: str) -> Transformer:
    """Norms and biases are not trivial."""
    torch.manual_seed(7)
    return with_noise(Transformer(ModelConfig.from_dict(BASE | SWITCHES[name])).eval())


def both_models(directory: Path, name: str) -> tuple[Transformer, PreTrainedModel]:
    model = random_model(name)
    return model, read_by_transformers(model, directory)


@pytest.mark.parametrize("name", SWITCHES)
def test_logits_and_gradients_equal_those_of_transformers(name: str, tmp_path: Path) -> None:
    model, reference = both_models(tmp_path, name)
    tokens = random_tokens(2, 40)
    expected = reference(tokens, use_cache=False).logits
    got = model.logits(model(tokens))
    assert relative_difference(got, expected) < 1e-5

    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    (expected * direction).sum().backward()
    (got * direction).sum().backward()
    fused = model.get_parameter("layers.1.self_attn.in_proj.weight").grad
    assert fused is not None
    separate = [reference.get_parameter(f"model.layers.1.self_attn.{x}_proj.weight").grad for x in "qkv"]
    assert relative_difference(fused, torch.cat([g for g in separate if g is not None])) < 1e-4
    parts = ["gate.weight", "experts.gate_up_proj", "experts.down_proj"]
    for published in (
        "model.embed_tokens.weight",
        "model.norm.weight",
        *(f"model.layers.0.mlp.{part}" for part in (parts if model.config.is_moe_layer(0) else ["down_proj.weight"])),
        *(f"model.layers.1.mlp.{part}" for part in (parts if model.config.is_moe_layer(1) else ["down_proj.weight"])),
    ):
        gradient = reference.get_parameter(published).grad
        mine = model.get_parameter(published.removeprefix("model.")).grad
        assert gradient is not None
        assert mine is not None
        assert relative_difference(mine, gradient) < 1e-4, published


@pytest.mark.parametrize("name", SWITCHES)
def test_padded_and_packed_rows_equal_transformers_run_on_each_text_alone(name: str, tmp_path: Path) -> None:
    assert_padded_and_packed_rows_are_the_texts_alone(*both_models(tmp_path, name))


@pytest.mark.parametrize("name", SWITCHES)
def test_greedy_decoding_through_the_cache_gives_the_tokens_of_transformers(name: str, tmp_path: Path) -> None:
    assert_greedy_decoding_is_the_same(*both_models(tmp_path, name))


@pytest.mark.parametrize("name", ["llama_tied", "llama_biases", "qwen2", "qwen3_biases", "qwen3_moe_listed"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_importing_an_export_gives_the_same_bits(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model = random_model(name).to(dtype)
    save_model(model, tmp_path, shard_bytes=50_000)
    again = load_model(tmp_path, dtype=dtype)
    assert again.config == model.config
    for (key, mine), (other_key, other) in zip(model.state_dict().items(), again.state_dict().items(), strict=True):
        assert key == other_key
        assert torch.equal(mine, other), key


@torch.no_grad()
@pytest.mark.parametrize("name", ["llama_llama3_rope", "llama_tied", "qwen2_sliding", "qwen3", "qwen3_moe_every_second"])
def test_a_directory_written_by_transformers_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    save_model(random_model(name), tmp_path / "config")
    torch.manual_seed(3)
    reference = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path / "config")).eval()
    reference.save_pretrained(tmp_path / "theirs")
    model = load_model(tmp_path / "theirs")
    tokens = random_tokens(2, 30)
    assert relative_difference(model.logits(model(tokens)), reference(tokens, use_cache=False).logits) < 1e-5
