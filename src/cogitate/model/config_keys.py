"""The keys of config.json files beside those of families.py: RoPE's settings, and what changes nothing of the model."""

from __future__ import annotations

import difflib
import json
import logging
from typing import Any

from cogitate.errors import ConfigError
from cogitate.model.families import Family

log = logging.getLogger(__name__)
MOST = 1e9  # of a number among RoPE's settings
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
    "_model_name_or_path",  # of what transformers has read from a GGUF file
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
    "router_aux_loss_coef",
    "seq_aux",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "unk_token_id",  # of what transformers has read from a GGUF file
    "unsloth_fixed",
    "use_cache",
}
# Keys of any family's files that say nothing as long as they have this value; families.py has those of a family.
INERT_VALUES = {"rope_interleaved": False, "use_mrope": False, "use_qk_norm": False, "partial_rotary_factor": 1.0}
MEANINGFUL_NULLS = {"bos_token_id", "eos_token_id", "pad_token_id", "q_lora_rank"}


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
    legacy, rope_type = merged.pop("type", None), merged.pop("rope_type", None)
    if legacy is not None and rope_type is not None and legacy != rope_type:
        raise ConfigError(f"rope_scaling: rope_type = {rope_type!r} and its old name type = {legacy!r} differ; leave one")
    rope_type = rope_type or legacy
    merged = {key: value for key, value in merged.items() if value is not None}
    if rope_type is None or rope_type == "default":
        if merged.pop("partial_rotary_factor", 1.0) != 1.0:
            raise ConfigError("partial_rotary_factor: only 1.0 is supported")
        if merged and rope_type is None:
            raise ConfigError(f"rope_scaling.{next(iter(merged))}: has no meaning without a rope_type")
        if merged:
            log.warning("rope_type is default: %s has no effect there", ", ".join(f"rope_scaling.{key}" for key in merged))
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
        if key == "truncate":
            continue
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        zero_allowed = key in ("mscale", "mscale_all_dim")
        if not is_number or not 0 <= value <= MOST or (value == 0 and not zero_allowed):
            raise ValueError(f"rope_scaling.{key} = {value!r}: must be a number above 0")
    required = {"factor"} | (ROPE_KEYS["llama3"] if rope_type == "llama3" else set())
    for key in sorted(required):
        if key not in scaling:
            raise ValueError(f"rope_scaling.{key} is missing, rope_type {rope_type} needs it")


def drop_inert(table: dict[str, Any], family: Family) -> None:
    """Drop keys that a family's files carry although they say nothing there, in place; nulls among them."""
    for key, inert in {**INERT_VALUES, **family.inert}.items():
        value = table.pop(key, None)
        if value is not None and (value != inert or isinstance(value, bool) != isinstance(inert, bool)):
            raise ConfigError(f"{key} = {json.dumps(value)}: not supported for model_type {table['model_type']}")
    for key in family.ignored:
        table.pop(key, None)
    kinds = table.get("layer_types")
    if "layer_types" not in family.fields and isinstance(kinds, list) and all(kind == "full_attention" for kind in kinds):
        del table["layer_types"]
    for key in [key for key, value in table.items() if value is None]:
        if key not in MEANINGFUL_NULLS:
            del table[key]


def read_spellings(table: dict[str, Any], family: Family) -> None:
    """Bring what a family's files call by another name to the name of the field, in place."""
    for name, spellings in family.spellings.items():
        if name in table:
            raise ConfigError(f"unknown key {name} for model_type {table['model_type']}; did you mean {spellings[0]}?")
        found = {spelling: table.pop(spelling) for spelling in spellings if spelling in table}
        if len({json.dumps(value) for value in found.values()}) > 1:
            raise ConfigError(f"{' and '.join(found)} differ: {json.dumps(found)}; they are one setting, leave one")
        if found:
            table[name] = next(iter(found.values()))
