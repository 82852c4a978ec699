"""Model families as one table of properties: a layer or a file asks what a family has, never what it is called.

A new family is a row of FAMILIES; where it brings a part that no other has, a property and the code of that part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

COMMON = frozenset(
    {
        "model_type",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
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
)
GROUPED = COMMON | {"head_dim"}
LATENT = COMMON | {
    "q_lora_rank",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "rope_interleave",
}
WINDOWS = {"use_sliding_window", "sliding_window", "max_window_layers", "layer_types"}
EXPERTS = {"moe_intermediate_size", "n_routed_experts", "num_experts_per_tok", "norm_topk_prob"}
DEEPSEEK_EXPERTS = EXPERTS | {
    "n_shared_experts",
    "routed_scaling_factor",
    "n_group",
    "topk_group",
    "first_k_dense_replace",
    "moe_layer_freq",
    "scoring_func",
    "topk_method",
}


@dataclass(frozen=True, slots=True)
class Family:
    """What sets one family's models and files apart.

    Attributes:
        architecture: what `transformers` calls its class, for the config.json that we write.
        attention: grouped queries (GQA) or one latent for all heads (MLA).
        fields: the fields of ModelConfig that its config.json has.
        has_qk_norm: queries and keys are normed, each head by itself.
        qkv_bias_only: q, k and v always have biases, the output projection never; elsewhere attention_bias decides for all.
        router: how a mixture of experts scores them; None: all layers are dense.
        has_router_bias: a bias of each expert takes part in the choice and is moved towards balance.
        has_mtp: released checkpoints may hold an MTP block, numbered as one more layer.
        defaults: what an absent key means, where that is not the field's default; keys outside `fields` are fixed.
        spellings: what its files call a field that has another name here; the first of them is written.
        inert: keys of its files that say nothing as long as they have this value; any other one is refused.
        ignored: keys of its files that repeat others, or that change nothing under the value `inert` demands.
    """

    architecture: str
    attention: Literal["gqa", "mla"]
    fields: frozenset[str]
    has_qk_norm: bool = False
    qkv_bias_only: bool = False
    router: Literal["sigmoid", "softmax"] | None = None
    has_router_bias: bool = False
    has_mtp: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    spellings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inert: Mapping[str, Any] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()


FAMILIES: dict[str, Family] = {
    "deepseek_v3": Family(
        "DeepseekV3ForCausalLM",
        "mla",
        LATENT | DEEPSEEK_EXPERTS | {"num_nextn_predict_layers"},
        router="sigmoid",
        has_router_bias=True,
        has_mtp=True,
        defaults={"max_position_embeddings": 4096},
        inert={"mlp_bias": False},
        ignored=frozenset({"head_dim", "qk_head_dim"}),  # newer files repeat qk_rope_head_dim and the sum of both widths
    ),
    "llama": Family(
        "LlamaForCausalLM",
        "gqa",
        GROUPED | {"mlp_bias"},
        defaults={"max_position_embeddings": 2048},
    ),
    "qwen2": Family(
        "Qwen2ForCausalLM",
        "gqa",
        GROUPED - {"attention_bias"} | WINDOWS,
        qkv_bias_only=True,
        defaults={"max_position_embeddings": 32768, "attention_bias": True},
        inert={"mlp_bias": False, "attention_bias": True},
    ),
    "qwen3": Family(
        "Qwen3ForCausalLM",
        "gqa",
        GROUPED | WINDOWS,
        has_qk_norm=True,
        defaults={"max_position_embeddings": 32768, "head_dim": 128},
        inert={"mlp_bias": False},
    ),
    "qwen3_moe": Family(
        "Qwen3MoeForCausalLM",
        "gqa",
        GROUPED | EXPERTS | {"decoder_sparse_step", "mlp_only_layers"},
        has_qk_norm=True,
        router="softmax",
        defaults={
            "max_position_embeddings": 32768,
            "moe_intermediate_size": 768,
            "n_routed_experts": 128,
            "n_shared_experts": 0,
            "norm_topk_prob": False,
        },
        spellings={"n_routed_experts": ("num_experts", "num_local_experts")},
        inert={"mlp_bias": False, "use_sliding_window": False},
        ignored=frozenset({"sliding_window", "max_window_layers"}),
    ),
}
