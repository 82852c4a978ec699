"""The keys of a GGUF file that say what the model is, as a ModelConfig. Llama and Qwen2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cogitate.errors import CheckpointError
from cogitate.model.config import ModelConfig
from cogitate.model.rope import rope_frequencies

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2"}


def read_settings(fields: dict[str, Any], tensors: dict[str, Any], rope_factors: Tensor | None, file: Path) -> ModelConfig:
    """The model that a file's keys describe.

    Args:
        tensors: by name; what the keys leave open is read from their names and shapes.
        rope_factors: what the file's own tensor divides each frequency of RoPE by.

    Raises:
        CheckpointError: an architecture or a setting that is not supported, or a key that is missing.
    """
    architecture = fields.get("general.architecture")
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{file}: general.architecture = {architecture!r}: not supported; supported are {', '.join(ARCHITECTURES)}"
        )

    def field(key: str) -> Any:
        if f"{architecture}.{key}" not in fields:
            raise CheckpointError(f"{file}: {architecture}.{key} is missing")
        return fields[f"{architecture}.{key}"]

    scaling_type = fields.get(f"{architecture}.rope.scaling.type", "none")
    if scaling_type not in ("none", "linear"):
        raise CheckpointError(f"{file}: {architecture}.rope.scaling.type = {scaling_type!r}: not supported")
    factor = fields.get(f"{architecture}.rope.scaling.factor", 1.0)
    values = {
        "model_type": ARCHITECTURES[architecture],
        "vocab_size": int(tensors["token_embd.weight"].shape[1]) if "token_embd.weight" in tensors else field("vocab_size"),
        "hidden_size": field("embedding_length"),
        "intermediate_size": field("feed_forward_length"),
        "num_hidden_layers": field("block_count"),
        "num_attention_heads": field("attention.head_count"),
        "num_key_value_heads": field("attention.head_count_kv"),
        "max_position_embeddings": field("context_length"),
        "rms_norm_eps": _short(field("attention.layer_norm_rms_epsilon")),
        "rope_theta": _short(fields.get(f"{architecture}.rope.freq_base", 10000.0)),
        "tie_word_embeddings": "output.weight" not in tensors,
        "bos_token_id": fields.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": fields.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": fields.get("tokenizer.ggml.padding_token_id"),
    }
    if scaling_type == "linear" and factor != 1.0:
        values["rope_scaling"] = {"rope_type": "linear", "factor": factor}
    if architecture == "llama":
        values["head_dim"] = fields.get("llama.attention.key_length") or values["hidden_size"] // values["num_attention_heads"]
        values["attention_bias"] = "blk.0.attn_q.bias" in tensors
    config = ModelConfig.from_dict(values)
    rotated = fields.get(f"{architecture}.rope.dimension_count", config.head_width)
    if rotated != config.head_width:
        raise CheckpointError(
            f"{file}: {architecture}.rope.dimension_count = {rotated}, heads are {config.head_width} wide: "
            "rotating a part of them is not supported"
        )
    return config if rope_factors is None else _with_llama3_rope(config, rope_factors, file)


def _with_llama3_rope(config: ModelConfig, divisors: Tensor, file: Path) -> ModelConfig:
    """llama.cpp stores what Llama 3's RoPE scaling divides each frequency by; find the settings that give these numbers."""
    plain, _ = rope_frequencies(config)
    scaling = {
        "rope_type": "llama3",
        "factor": float(divisors.max()),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    scaled = config.model_copy(update={"rope_scaling": scaling})
    if not torch.allclose(plain / rope_frequencies(scaled)[0], divisors, rtol=1e-3):
        raise CheckpointError(f"{file}: rope_freqs.weight is not the RoPE scaling of Llama 3")
    return scaled


def _short(value: float) -> float:
    """GGUF keeps float32; 9.999999747378752e-06 was written as 1e-05."""
    return float(json.loads(f"{value:.7g}"))
