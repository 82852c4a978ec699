"""Counts against hand-worked numbers, this project's own models, and transformers on the meta device."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from cogitate.costs.counts import (
    active_parameters,
    attention_operations,
    cache_numbers,
    count_parameters,
    experts_touched,
    lora_parameters,
    matrix_operations,
)
from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError
from cogitate.model.config import DEEPSEEK_V3, TINY
from cogitate.model.describe import describe
from cogitate.model.files.published import PUBLISHED
from cogitate.model.lora import add_lora
from cogitate.model.transformer import Transformer

V3 = Shape.from_config(DEEPSEEK_V3.to_dict())


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - {"deepseek-r1", "deepseek-r1-zero"}))
def test_counts_are_those_of_describe(name: str) -> None:
    shape, real = Shape.from_config(PUBLISHED[name].to_dict()), describe(PUBLISHED[name])
    assert count_parameters(shape).total == real.parameters
    assert count_parameters(shape).mtp == real.mtp_parameters
    assert active_parameters(shape) == real.active
    assert active_parameters(shape, embedding=False) == real.active_without_embedding
    assert cache_numbers(shape) == real.cache_numbers


def test_deepseek_v3_by_hand() -> None:
    """arXiv:2412.19437, section 4.2: 61 layers of width 7168, of which 3 are dense, 256 experts of 2048, ranks 1536 and 512."""
    counts = count_parameters(V3)
    queries = 7168 * 1536 + 1536 + 1536 * 128 * 192
    latents = 7168 * 576 + 512 + 512 * 128 * 256
    assert counts.attention == 61 * (queries + latents + 128 * 128 * 7168)
    assert counts.routed == 58 * 256 * 3 * 7168 * 2048 == 653_908_770_816
    assert counts.dense == 3 * 3 * 7168 * 18432
    assert counts.total == 671_026_404_352
    assert round(counts.mtp / 1e9, 2) == 11.61
    assert round(active_parameters(V3) / 1e9, 2) == 37.55
    assert round(active_parameters(V3, embedding=False) / 1e9, 2) == 36.63
    assert cache_numbers(V3) == 61 * 576


def test_operations_of_deepseek_v3_by_hand() -> None:
    assert matrix_operations(V3) == 2.0 * active_parameters(V3, embedding=False)
    assert attention_operations(V3, 1000) == 2 * 1000 * 61 * 128 * (192 + 128)


FAMILIES: list[dict[str, Any]] = [
    {"model_type": "llama", "num_key_value_heads": 2, "attention_bias": True, "mlp_bias": True},
    {"model_type": "qwen2", "num_key_value_heads": 2, "tie_word_embeddings": True},
    {"model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 24, "attention_bias": True},
    {"model_type": "qwen3_moe", "num_key_value_heads": 2, "head_dim": 16, "num_experts": 6, "num_experts_per_tok": 2,
     "moe_intermediate_size": 40, "decoder_sparse_step": 1, "mlp_only_layers": [1]},
    {"model_type": "glm4_moe", "num_key_value_heads": 2, "head_dim": 16, "n_routed_experts": 6, "num_experts_per_tok": 2,
     "moe_intermediate_size": 40, "first_k_dense_replace": 1, "attention_bias": True, "n_shared_experts": 1},
    {"model_type": "deepseek_v3", "num_key_value_heads": 4, "q_lora_rank": 24, "kv_lora_rank": 16, "qk_nope_head_dim": 8,
     "qk_rope_head_dim": 4, "v_head_dim": 12, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1,
     "moe_intermediate_size": 40, "first_k_dense_replace": 2, "n_shared_experts": 2},
]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family["model_type"])
def test_counts_are_those_of_transformers_on_the_meta_device(family: dict[str, Any]) -> None:
    sizes = {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4}
    given = {**sizes, **family}
    config = AutoConfig.for_model(given.pop("model_type"), **given)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert count_parameters(Shape.from_config({**sizes, **family})).total == sum(p.numel() for p in model.parameters())


def test_adapters_are_counted_as_the_model_makes_them() -> None:
    with torch.device("meta"):
        model = Transformer(TINY)
    add_lora(model, rank=4, alpha=8.0)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert lora_parameters(Shape.from_config(TINY.to_dict()), 4, ours=True) == trained


def test_a_large_batch_touches_every_expert_and_one_token_its_own() -> None:
    assert experts_touched(V3, 1) == pytest.approx(8)
    assert experts_touched(V3, 4096) == pytest.approx(256, rel=1e-6)


def test_an_unknown_family_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"model_type = 'mamba'.*deepseek_v3"):
        Shape.from_config({"model_type": "mamba"})
    with pytest.raises(ConfigError, match="without hidden_size: add it"):
        Shape.from_config({"model_type": "llama", "num_attention_heads": 2})
