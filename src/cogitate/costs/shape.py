"""Shape: the sizes of a decoder that its costs follow from, read from the contents of a Hugging Face config.json.

It knows more families than model/ can run, because the cost of a model may be asked before anybody has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cogitate.errors import ConfigError

ALWAYS_QKV_BIAS = ("qwen2",)  # families whose config.json does not say so
QK_NORM = ("qwen3", "qwen3_moe")
LATENT = ("deepseek_v3",)
ROUTER_BIAS = ("deepseek_v3", "glm4_moe")  # kept as a buffer, not counted as a parameter
KNOWN = ("deepseek_v3", "glm4_moe", "llama", "qwen2", "qwen3", "qwen3_moe")
MAY_BE_NONE = (  # sizes of parts that a model need not have
    "q_lora_rank", "n_routed_experts", "num_experts", "n_shared_experts", "first_k_dense_replace", "num_nextn_predict_layers",
)  # fmt: skip
SIZES = (
    *MAY_BE_NONE, "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "intermediate_size", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "num_experts_per_tok",
    "moe_intermediate_size", "decoder_sparse_step",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a decoder.

    Attributes:
        query_rank, latent, plain_head, rotated_head: of MLA: ranks of queries and of the cache, and the two parts of a key's
            width; latent is 0 for grouped queries, query_rank 0 where queries have no low rank.
        head: width of a key head of grouped queries; value_head: of a value.
        inner: of a dense MLP; expert_inner: of one expert.
        dense_layers: how many layers have no experts; all of them where experts is 0.
        mtp_blocks: blocks that predict further tokens, beside the layers.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    value_head: int
    inner: int
    tied: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    query_rank: int = 0
    latent: int = 0
    plain_head: int = 0
    rotated_head: int = 0
    experts: int = 0
    experts_per_token: int = 0
    expert_inner: int = 0
    shared_experts: int = 0
    dense_layers: int = 0
    mtp_blocks: int = 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Shape:
        """Read the contents of a config.json.

        Raises:
            ConfigError: an unknown model_type, or a size is missing.
        """
        if not isinstance(config, Mapping):
            raise ConfigError("a config.json is an object with model_type and sizes")
        family = config.get("model_type")
        if family not in KNOWN:
            raise ConfigError(f"model_type = {family!r}: its costs are not known; known are {', '.join(KNOWN)}")
        config = {key: value for key, value in config.items() if value is not None}
        for key in [key for key in SIZES if key in config]:
            value = config[key]
            if type(value) is not int or value < (0 if key in MAY_BE_NONE else 1):
                raise ConfigError(f"{key} = {value!r}: give a whole number above 0")
        try:
            return cls(**_sizes(config, family))
        except KeyError as error:
            raise ConfigError(f"a config.json of model_type {family} without {error.args[0]}: add it") from error

    @property
    def is_latent(self) -> bool:
        return self.latent > 0

    @property
    def expert_layers(self) -> int:
        return self.layers - self.dense_layers

    @property
    def query_width(self) -> int:
        """Numbers of all query heads of a layer."""
        return self.heads * (self.plain_head + self.rotated_head if self.is_latent else self.head)

    @property
    def value_width(self) -> int:
        """Numbers of all heads' outputs of a layer."""
        return self.heads * self.value_head

    @property
    def active_inner(self) -> int:
        """Inner width that a token meets in the widest kind of layer: of the MLP, or of its experts together."""
        if not self.experts:
            return self.inner
        return (self.experts_per_token + self.shared_experts) * self.expert_inner


def _sizes(config: Mapping[str, Any], family: str) -> dict[str, Any]:
    heads, width = config["num_attention_heads"], config["hidden_size"]
    default_head = 128 if family in QK_NORM else width // heads
    head = config.get("head_dim") or default_head
    bias = family in ALWAYS_QKV_BIAS or bool(config.get("attention_bias"))
    sizes: dict[str, Any] = {
        "vocabulary": config["vocab_size"],
        "width": width,
        "layers": config["num_hidden_layers"],
        "heads": heads,
        "kv_heads": config.get("num_key_value_heads") or heads,
        "head": head,
        "value_head": head,
        "inner": config["intermediate_size"],
        "tied": bool(config.get("tie_word_embeddings", False)),
        "qkv_bias": bias,
        "output_bias": bias and family in ("llama", "qwen3", "qwen3_moe", "deepseek_v3"),
        "mlp_bias": bool(config.get("mlp_bias")) and family == "llama",
        "qk_norm": family in QK_NORM or bool(config.get("use_qk_norm")),
        "dense_layers": config["num_hidden_layers"],
    }
    if family in LATENT:
        sizes |= {
            "query_rank": config.get("q_lora_rank") or 0,
            "latent": config["kv_lora_rank"],
            "plain_head": config["qk_nope_head_dim"],
            "rotated_head": config["qk_rope_head_dim"],
            "value_head": config["v_head_dim"],
        }
    experts = config.get("n_routed_experts", config.get("num_experts", 0)) or 0
    if experts and family in ("deepseek_v3", "glm4_moe", "qwen3_moe"):
        sizes |= {
            "experts": experts,
            "experts_per_token": config["num_experts_per_tok"],
            "expert_inner": config["moe_intermediate_size"],
            "shared_experts": (config.get("n_shared_experts") or 0) if family != "qwen3_moe" else 0,
            "dense_layers": _dense_layers(config),
        }
    if family in LATENT:
        sizes["mtp_blocks"] = config.get("num_nextn_predict_layers") or 0
    return sizes


def _dense_layers(config: Mapping[str, Any]) -> int:
    layers, first = config["num_hidden_layers"], config.get("first_k_dense_replace") or 0
    every, dense = config.get("decoder_sparse_step") or 1, config.get("mlp_only_layers") or []
    sparse = [layer for layer in range(first, layers) if (layer + 1) % every == 0 and layer not in dense]
    return int(layers - len(sparse))
