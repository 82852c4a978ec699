"""The keys of a GGUF file that say what the model is, as a ModelConfig, read as llama.cpp reads them: Llama, Qwen2, Qwen3."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cogitate.errors import CheckpointError, ConfigError
from cogitate.model.config import ModelConfig
from cogitate.model.files.gguf.header import StoredTensor
from cogitate.model.files.gguf.keys import Keys
from cogitate.model.rope import rope_frequencies

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
WIDTH_OVER_HEADS = ("llama", "qwen3")  # the width of a head where no key says it, unlike in config.json


def read_settings(keys: Keys, tensors: Mapping[str, StoredTensor]) -> ModelConfig:
    """The model that a file's keys describe, its RoPE factors left out (`with_rope_factors`).

    Args:
        tensors: by name; what the keys leave open is read from their names and shapes.

    Raises:
        CheckpointError: an architecture or a setting that is not supported, or a key that is missing.
    """
    name = keys.text("general.architecture")
    if name is None:
        raise CheckpointError(f"{keys.file}: general.architecture is missing")
    if name not in ARCHITECTURES:
        raise keys.error("general.architecture", f"not supported; supported are {', '.join(ARCHITECTURES)}")
    _refuse_variants(keys, name)
    heads = keys.needed_integer(f"{name}.attention.head_count")
    width = keys.needed_integer(f"{name}.embedding_length")
    head_dim = keys.integer(f"{name}.attention.key_length")
    values: dict[str, Any] = {
        "model_type": ARCHITECTURES[name],
        "vocab_size": _vocabulary(keys, name, tensors),
        "hidden_size": width,
        "intermediate_size": keys.needed_integer(f"{name}.feed_forward_length"),
        "num_hidden_layers": keys.needed_integer(f"{name}.block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": keys.integer(f"{name}.attention.head_count_kv", heads),
        "max_position_embeddings": keys.needed_integer(f"{name}.context_length"),
        "rms_norm_eps": keys.real(f"{name}.attention.layer_norm_rms_epsilon"),
        "rope_theta": keys.real(f"{name}.rope.freq_base", 10000.0),
        "rope_scaling": _linear_scaling(keys, name),
        "tie_word_embeddings": "output.weight" not in tensors,
        **{f"{x}_token_id": keys.integer(f"tokenizer.ggml.{y}_token_id") for x, y in TOKEN_IDS.items()},
    }
    if values["rms_norm_eps"] is None:
        raise CheckpointError(f"{keys.file}: {name}.attention.layer_norm_rms_epsilon is missing")
    if name in WIDTH_OVER_HEADS:
        values["head_dim"] = head_dim or width // max(heads, 1)
    elif head_dim is not None:
        values["head_dim"] = head_dim
    if name == "llama":
        values["attention_bias"] = "blk.0.attn_q.bias" in tensors
        values["mlp_bias"] = "blk.0.ffn_gate.bias" in tensors
    try:
        config = ModelConfig.from_dict(values)
    except ConfigError as error:
        raise CheckpointError(f"{keys.file}: {error}") from error
    for key, what in ((f"{name}.rope.dimension_count", "rotated"), (f"{name}.attention.value_length", "values")):
        if keys.integer(key, config.head_width) != config.head_width:
            raise keys.error(key, f"heads are {config.head_width} wide: another width of what is {what} is not supported")
    return config


TOKEN_IDS = {"bos": "bos", "eos": "eos", "pad": "padding"}


def _refuse_variants(keys: Keys, name: str) -> None:
    """Settings under which llama.cpp would compute something else."""
    for key, plain in (("split.count", (0, 1)), (f"{name}.expert_count", (0,))):
        if keys.integer(key, plain[-1]) not in plain:
            raise keys.error(key, "files in parts and mixtures of experts are not supported")
    if keys.real(f"{name}.rope.scaling.attn_factor", 1.0) != 1.0:
        raise keys.error(f"{name}.rope.scaling.attn_factor", "only 1.0 is supported")
    if not keys.flag(f"{name}.attention.causal", True):
        raise keys.error(f"{name}.attention.causal", "only causal attention is supported")


def _vocabulary(keys: Keys, name: str, tensors: Mapping[str, StoredTensor]) -> int:
    """Rows of the embedding."""
    embedding = tensors.get("token_embd.weight")
    if embedding is None:
        raise CheckpointError(f"{keys.file}: tensor token_embd.weight is missing")
    rows = embedding.shape[0]
    if keys.integer(f"{name}.vocab_size", rows) != rows:
        raise keys.error(f"{name}.vocab_size", f"token_embd.weight has {rows} rows")
    return rows


def _linear_scaling(keys: Keys, name: str) -> dict[str, Any] | None:
    """Positions divided by a factor: also under the key's old name, and where no type is given."""
    kind = keys.text(f"{name}.rope.scaling.type", "linear")
    if kind not in ("none", "linear"):
        raise keys.error(f"{name}.rope.scaling.type", "not supported; supported are none and linear")
    if kind == "none":
        return None
    key = f"{name}.rope.scaling.factor" if f"{name}.rope.scaling.factor" in keys else f"{name}.rope.scale_linear"
    factor = keys.real(key, 1.0)
    assert factor is not None
    if factor < 0:
        raise keys.error(key, "must be a number above 0")
    return None if factor in (0.0, 1.0) else {"rope_type": "linear", "factor": factor}


def with_rope_factors(config: ModelConfig, divisors: Tensor, keys: Keys) -> ModelConfig:
    """llama.cpp stores what Llama 3's RoPE scaling divides each frequency by; find the settings that give these numbers."""
    if config.rope_scaling is not None:
        raise CheckpointError(f"{keys.file}: both linear RoPE scaling and rope_freqs.weight: not supported")
    plain, _ = rope_frequencies(config)
    factor = float(divisors.max())
    scaled = config
    if math.isfinite(factor) and factor >= 1 and divisors.shape == plain.shape:
        scaling = {
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
        scaled = config.model_copy(update={"rope_scaling": scaling})
    if scaled is config or not torch.allclose(plain / rope_frequencies(scaled)[0], divisors, rtol=1e-3):
        raise CheckpointError(f"{keys.file}: rope_freqs.weight is not the RoPE scaling of Llama 3")
    return scaled
