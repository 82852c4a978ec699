"""Architectures of published models by name, from their config.json files: `cogitate describe NAME` needs no network."""

from __future__ import annotations

import difflib
from typing import Any

from cogitate.model.config import DEEPSEEK_V3, TINY, ModelConfig

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def shaped(
    family: str, vocabulary: int, width: int, inner: int, layers: int, heads: tuple[int, int], **more: Any
) -> ModelConfig:
    """A model of a family with grouped queries; `heads` of queries, and of keys and values."""
    shape = {"vocab_size": vocabulary, "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers}
    return ModelConfig.from_dict(
        {"model_type": family, **shape, "num_attention_heads": heads[0], "num_key_value_heads": heads[1], **more}
    )


def llama3(width: int, inner: int, layers: int, heads: tuple[int, int]) -> ModelConfig:
    rope = {"rope_theta": 500000.0, "rope_scaling": LLAMA3_ROPE}
    return shaped("llama", 128256, width, inner, layers, heads, max_position_embeddings=131072, rms_norm_eps=1e-5, **rope)


def qwen3_moe(width: int, inner: int, layers: int, heads: tuple[int, int], *, moe_intermediate_size: int) -> ModelConfig:
    experts = {"num_experts": 128, "num_experts_per_tok": 8, "norm_topk_prob": True}
    experts |= {"moe_intermediate_size": moe_intermediate_size}
    more = {"head_dim": 128, "rope_theta": 1e6, "max_position_embeddings": 40960, **experts}
    return shaped("qwen3_moe", 151936, width, inner, layers, heads, **more)


PUBLISHED: dict[str, ModelConfig] = {
    "deepseek-v3": DEEPSEEK_V3,
    "deepseek-r1": DEEPSEEK_V3,
    "deepseek-r1-zero": DEEPSEEK_V3,
    "r1-distill-qwen-1.5b": shaped("qwen2", 151936, 1536, 8960, 28, (12, 2), max_position_embeddings=131072),
    "r1-distill-qwen-7b": shaped("qwen2", 152064, 3584, 18944, 28, (28, 4), max_position_embeddings=131072),
    "r1-distill-qwen-14b": shaped("qwen2", 152064, 5120, 13824, 48, (40, 8), max_position_embeddings=131072),
    "r1-distill-qwen-32b": shaped("qwen2", 152064, 5120, 27648, 64, (40, 8), max_position_embeddings=131072),
    "r1-distill-llama-8b": llama3(4096, 14336, 32, (32, 8)),
    "r1-distill-llama-70b": llama3(8192, 28672, 80, (64, 8)),
    "qwen2.5-0.5b": shaped("qwen2", 151936, 896, 4864, 24, (14, 2), tie_word_embeddings=True, rope_theta=1e6),
    "qwen3-0.6b": shaped(
        "qwen3", 151936, 1024, 3072, 28, (16, 8), tie_word_embeddings=True, rope_theta=1e6, max_position_embeddings=40960
    ),
    "qwen3-8b": shaped("qwen3", 151936, 4096, 12288, 36, (32, 8), rope_theta=1e6, max_position_embeddings=40960),
    "qwen3-30b-a3b": qwen3_moe(2048, 6144, 48, (32, 4), moe_intermediate_size=768),
    "qwen3-235b-a22b": qwen3_moe(4096, 12288, 94, (64, 4), moe_intermediate_size=1536),
    "smollm2-135m": shaped(
        "llama", 49152, 576, 1536, 30, (9, 3), tie_word_embeddings=True, rope_theta=1e5, max_position_embeddings=8192
    ),
    "tiny": TINY,
}


def find_published(name: str) -> ModelConfig | None:
    """A published model's architecture, None where none is known by this name; capitals and the owner do not count."""
    plain = name.lower().rpartition("/")[2]
    return PUBLISHED.get(plain) or PUBLISHED.get(plain.removeprefix("deepseek-"))


def no_such_model(name: str) -> str:
    """What to say about a name that is neither published nor a path."""
    nearest = difflib.get_close_matches(name.lower(), PUBLISHED, n=1, cutoff=0.0)[0]
    return f"{name}: neither a file or directory nor a known model; did you mean {nearest}? Known are {', '.join(PUBLISHED)}"
