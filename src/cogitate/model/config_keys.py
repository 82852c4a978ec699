"""The keys of config.json files: which families have which, which change nothing, and the spellings of one and the same."""

from __future__ import annotations

import difflib
import json
from typing import Any

from cogitate.errors import ConfigError

ROPE_KEYS = {
    "linear": {"factor"},
    "llama3": {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
    "yarn": {
        "factor",
        "original_max_position_embeddings",
        "beta_fast",
        "beta_slow",
        "mscale",
        "mscale_all_dim",
        "attention_factor",
        "truncate",
    },
}
# Keys of real files that change nothing of what the decoder computes, or that are read elsewhere.
IRRELEVANT_KEYS = {
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "auto_map",  # names Python code; never executed
    "aux_loss_alpha",
    "chunk_size_feed_forward",
    "dtype",
    "ep_size",
    "id2label",
    "is_decoder",
    "is_encoder_decoder",
    "is_llama_config",
    "label2id",
    "model_max_length",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "pretraining_tp",
    "problem_type",
    "quantization_config",  # read by hf.py
    "return_dict",
    "seq_aux",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "unsloth_fixed",
    "use_cache",
}
# Keys of real files that say nothing as long as they have this value.
INERT_VALUES = {"rope_interleaved": False, "use_mrope": False, "use_qk_norm": False, "partial_rotary_factor": 1.0}
COMMON_FIELDS = {
    "model_type",
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "tie_word_embeddings",
    "rope_theta",
    "rope_scaling",
    "attention_bias",
    "attention_dropout",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
}
WINDOW_FIELDS = {"use_sliding_window", "sliding_window", "max_window_layers", "layer_types"}
DEEPSEEK_FIELDS = {
    "moe_intermediate_size",
    "n_shared_experts",
    "n_routed_experts",
    "num_experts_per_tok",
    "routed_scaling_factor",
    "n_group",
    "topk_group",
    "norm_topk_prob",
    "first_k_dense_replace",
    "moe_layer_freq",
    "scoring_func",
    "topk_method",
    "q_lora_rank",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "rope_interleave",
    "num_nextn_predict_layers",
}
FAMILY_FIELDS = {
    "deepseek_v3": COMMON_FIELDS | DEEPSEEK_FIELDS,
    "llama": COMMON_FIELDS | {"mlp_bias"},
    "qwen2": COMMON_FIELDS | WINDOW_FIELDS,
    "qwen3": COMMON_FIELDS | WINDOW_FIELDS,
}
MEANINGFUL_NULLS = {"bos_token_id", "eos_token_id", "pad_token_id", "q_lora_rank"}
# What a family means by an absent key, where that is not the field's default.
FAMILY_DEFAULTS: dict[str, dict[str, Any]] = {
    "deepseek_v3": {"max_position_embeddings": 4096},
    "llama": {"max_position_embeddings": 2048},
    "qwen2": {"max_position_embeddings": 32768, "attention_bias": True},
    "qwen3": {"max_position_embeddings": 32768, "head_dim": 128},
}


def read_rope(table: dict[str, Any]) -> None:
    """Bring both spellings of RoPE settings (rope_theta + rope_scaling, rope_parameters) to the first one, in place."""
    parameters = table.pop("rope_parameters", None)
    scaling = table.pop("rope_scaling", None)
    for name, value in (("rope_parameters", parameters), ("rope_scaling", scaling)):
        if value is not None and not isinstance(value, dict):
            raise ConfigError(f"{name} = {value!r}: must be an object")
    merged = {**(parameters or {}), **(scaling or {})}
    if "rope_theta" in merged:
        table["rope_theta"] = merged.pop("rope_theta")
    legacy = merged.pop("type", None)
    rope_type = merged.pop("rope_type", legacy) or "default"
    merged = {key: value for key, value in merged.items() if value is not None}
    if rope_type == "default":
        if merged.pop("partial_rotary_factor", 1.0) != 1.0:
            raise ConfigError("partial_rotary_factor: only 1.0 is supported")
        if merged:
            raise ConfigError(f"rope_scaling.{next(iter(merged))}: has no meaning without a rope_type")
    else:
        table["rope_scaling"] = {"rope_type": rope_type, **merged}


def check_rope_scaling(scaling: dict[str, Any]) -> None:
    rope_type = scaling.get("rope_type")
    if not isinstance(rope_type, str) or rope_type not in ROPE_KEYS:
        raise ValueError(f"rope_scaling.rope_type = {rope_type!r}: not supported; supported are {', '.join(ROPE_KEYS)}")
    for key, value in scaling.items():
        if key == "rope_type":
            continue
        if key not in ROPE_KEYS[rope_type]:
            nearest = difflib.get_close_matches(key, sorted(ROPE_KEYS[rope_type]), n=1, cutoff=0.0)[0]
            raise ValueError(f"unknown key rope_scaling.{key} for rope_type {rope_type}; did you mean {nearest}?")
        if key == "truncate" and not isinstance(value, bool):
            raise ValueError(f"rope_scaling.truncate = {value!r}: must be true or false")
        zero_allowed = key in ("truncate", "mscale", "mscale_all_dim")
        if not isinstance(value, (int, float)) or value < 0 or (value == 0 and not zero_allowed):
            raise ValueError(f"rope_scaling.{key} = {value!r}: must be a number above 0")
    required = {"factor"} | (ROPE_KEYS["llama3"] if rope_type == "llama3" else set())
    for key in sorted(required):
        if key not in scaling:
            raise ValueError(f"rope_scaling.{key} is missing, rope_type {rope_type} needs it")


def drop_inert(table: dict[str, Any], family: str) -> None:
    """Drop keys that a family's files carry although they say nothing there, in place; nulls among them."""
    for key, inert in INERT_VALUES.items():
        value = table.pop(key, inert)
        if value not in (inert, None):
            raise ConfigError(f"{key} = {json.dumps(value)}: not supported")
    if family == "deepseek_v3":
        table.pop("head_dim", None)  # newer files repeat qk_rope_head_dim under this name
        table.pop("qk_head_dim", None)  # and the sum of both widths
    kinds = table.get("layer_types")
    if family == "llama" and isinstance(kinds, list) and all(kind == "full_attention" for kind in kinds):
        del table["layer_types"]
    if family != "llama" and table.get("mlp_bias") is False:
        del table["mlp_bias"]
    if family == "qwen2" and table.get("attention_bias", True) is not True:
        raise ConfigError("attention_bias = false: qwen2 always has biases of q, k and v")
    for key in [key for key, value in table.items() if value is None]:
        if key not in MEANINGFUL_NULLS:
            del table[key]
