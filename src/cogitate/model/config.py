"""ModelConfig: a Hugging Face config.json as a typed, checked value. Field names are the file's key names.

The families and what each of them has stand in families.py.
A key or value that this code would have to ignore, although it changes what the model computes, is an error.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cogitate.errors import ConfigError
from cogitate.model.config_keys import (
    IRRELEVANT_KEYS,
    MEANINGFUL_NULLS,
    check_rope_scaling,
    drop_inert,
    read_rope,
    read_spellings,
)
from cogitate.model.families import FAMILIES, Family

# No model comes near these; a damaged file that exceeds them is refused before anything of such a size is made.
MOST_LAYERS, MOST_EXPERTS, MOST_SIZE, MOST_POSITIONS = 1 << 12, 1 << 12, 1 << 20, 1 << 24
Size = Annotated[int, Field(ge=1, le=MOST_SIZE)]


class ModelConfig(BaseModel):
    """The shape of a decoder. Build one from outside data with `from_dict`, which turns mistakes into ConfigError.

    Fields of other families keep their defaults and are not written by `to_dict`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    model_type: str
    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: int = Field(ge=1, le=MOST_LAYERS)
    num_attention_heads: Size
    num_key_value_heads: Size  # absent or null: as many as query heads
    head_dim: Size | None = None  # None: hidden_size / num_attention_heads; unused by MLA
    hidden_act: Literal["silu"] = "silu"
    max_position_embeddings: int = Field(4096, ge=1, le=MOST_POSITIONS)
    initializer_range: float = Field(0.02, ge=0)
    rms_norm_eps: float = Field(1e-6, gt=0)
    tie_word_embeddings: bool = False
    rope_theta: float = Field(10000.0, gt=0)
    rope_scaling: dict[str, Any] | None = None  # rope_type and its keys, see ROPE_KEYS in config_keys.py
    attention_bias: bool = False  # of q, k, v and the output, but see Family.qkv_bias_only
    attention_dropout: float = 0.0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    mlp_bias: bool = False
    # windows
    use_sliding_window: bool = False
    sliding_window: int | None = Field(None, ge=1)
    max_window_layers: int = Field(28, ge=0)  # layers below this index attend to everything
    layer_types: list[Literal["full_attention", "sliding_attention"]] | None = None
    # a mixture of experts
    moe_intermediate_size: Size = 2048
    n_shared_experts: int = Field(1, ge=0, le=MOST_EXPERTS)
    n_routed_experts: int = Field(256, ge=1, le=MOST_EXPERTS)
    num_experts_per_tok: int = Field(8, ge=1)
    routed_scaling_factor: float = 1.0
    n_group: int = Field(1, ge=1)
    topk_group: int = Field(1, ge=1)
    norm_topk_prob: bool = True
    first_k_dense_replace: int = Field(0, ge=0)  # layers below this index are dense
    decoder_sparse_step: int = Field(1, ge=1)  # of so many layers the last is a mixture
    mlp_only_layers: list[int] = []  # that are dense
    moe_layer_freq: Literal[1] = 1
    scoring_func: Literal["sigmoid"] = "sigmoid"
    topk_method: Literal["noaux_tc"] = "noaux_tc"
    # MLA and MTP
    q_lora_rank: Size | None = None
    kv_lora_rank: Size = 512
    qk_nope_head_dim: Size = 128
    qk_rope_head_dim: int = Field(64, ge=2, le=MOST_SIZE)
    v_head_dim: Size = 128
    rope_interleave: bool = True
    num_nextn_predict_layers: int = Field(0, ge=0, le=1)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Read the contents of a config.json.

        Raises:
            ConfigError: an unsupported model_type, RoPE type or value, a missing key, or an unknown one (the nearest is named).
        """
        table = {key: value for key, value in values.items() if key not in IRRELEVANT_KEYS}
        family = _family(table.get("model_type"))
        read_rope(table)
        drop_inert(table, family)
        read_spellings(table, family)
        for key in table:
            if key not in family.fields:
                known = sorted(family.spellings.get(name, (name,))[0] for name in family.fields)
                nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                raise ConfigError(f"unknown key {key} for model_type {table['model_type']}; did you mean {nearest}?")
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            got = f" = {json.dumps(first['input'], default=str)}" if key and first["type"] != "missing" else ""
            raise ConfigError(f"{key}{got}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")) from error

    def to_dict(self) -> dict[str, Any]:
        """The config.json of this model: its family's keys, and RoPE in the form that old and new readers take."""
        family = self.family
        kept = {
            family.spellings.get(name, (name,))[0]: value
            for name, value in self.model_dump(mode="json").items()
            if name in family.fields and (value is not None or name in MEANINGFUL_NULLS)
        }
        return {"architectures": [family.architecture], **kept}

    @property
    def family(self) -> Family:
        return FAMILIES[self.model_type]

    @property
    def head_width(self) -> int:
        """Width of a query or key head of a GQA model."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def qk_head_dim(self) -> int:
        """Width of a query or key head of an MLA model: without position plus with it."""
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def is_mla(self) -> bool:
        return self.family.attention == "mla"

    @property
    def rope_width(self) -> int:
        """How many dimensions of a head are rotated."""
        return self.qk_rope_head_dim if self.is_mla else self.head_width

    def is_moe_layer(self, layer: int) -> bool:
        is_sparse = (layer + 1) % self.decoder_sparse_step == 0 and layer not in self.mlp_only_layers
        return self.family.router is not None and is_sparse and layer >= self.first_k_dense_replace

    def window_of_layer(self, layer: int) -> int | None:
        """How many tokens back this layer sees, itself included; None: all."""
        if not self.use_sliding_window or self.sliding_window is None:
            return None
        if self.layer_types is not None:
            return self.sliding_window if self.layer_types[layer] == "sliding_attention" else None
        return self.sliding_window if layer >= self.max_window_layers else None

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        values = {**_family(values.get("model_type")).defaults, **values}
        if values.get("num_key_value_heads") is None:
            values["num_key_value_heads"] = values.get("num_attention_heads")
        return values

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        if self.attention_dropout:
            raise ValueError(f"attention_dropout = {self.attention_dropout}: only 0.0 is supported")
        if self.rope_scaling is not None:
            check_rope_scaling(self.rope_scaling)
        if self.layer_types is not None and len(self.layer_types) != self.num_hidden_layers:
            raise ValueError(f"layer_types names {len(self.layer_types)} layers, num_hidden_layers is {self.num_hidden_layers}")
        if self.is_mla:
            if self.num_key_value_heads != self.num_attention_heads:
                raise ValueError(
                    f"num_key_value_heads = {self.num_key_value_heads}: MLA has as many "
                    f"as num_attention_heads = {self.num_attention_heads}"
                )
        else:
            if self.num_attention_heads % self.num_key_value_heads:
                raise ValueError(
                    f"num_attention_heads = {self.num_attention_heads} is no multiple "
                    f"of num_key_value_heads = {self.num_key_value_heads}"
                )
            if self.head_dim is None and self.hidden_size % self.num_attention_heads:
                raise ValueError(
                    f"hidden_size = {self.hidden_size} is no multiple of num_attention_heads = {self.num_attention_heads}"
                )
        if self.rope_width % 2:
            raise ValueError(f"the rotated head width must be even, got {self.rope_width}")
        if self.family.router is not None:
            self._check_experts()
        return self

    def _check_experts(self) -> None:
        if self.n_routed_experts % self.n_group:
            raise ValueError(f"n_routed_experts = {self.n_routed_experts} is no multiple of n_group = {self.n_group}")
        if self.topk_group > self.n_group:
            raise ValueError(f"topk_group = {self.topk_group} is more than n_group = {self.n_group}")
        reachable = self.n_routed_experts // self.n_group * self.topk_group
        if self.num_experts_per_tok > reachable:
            experts = f"{reachable} experts" + (" of topk_group groups" if self.n_group > 1 else "")
            raise ValueError(f"num_experts_per_tok = {self.num_experts_per_tok} is more than the {experts}")
        for layer in self.mlp_only_layers:
            if not 0 <= layer < self.num_hidden_layers:
                raise ValueError(f"mlp_only_layers names layer {layer}: there are {self.num_hidden_layers}, counted from 0")


def _family(model_type: Any) -> Family:
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ConfigError(f"model_type = {model_type!r}: not supported; supported are {', '.join(FAMILIES)}")
    return FAMILIES[model_type]


TINY = ModelConfig(
    model_type="deepseek_v3",
    vocab_size=1536,
    hidden_size=160,
    intermediate_size=448,
    num_hidden_layers=4,
    num_attention_heads=5,
    num_key_value_heads=5,
    max_position_embeddings=512,
    moe_intermediate_size=112,
    n_shared_experts=1,
    n_routed_experts=8,
    num_experts_per_tok=2,
    routed_scaling_factor=1.0,
    first_k_dense_replace=1,
    kv_lora_rank=64,
    qk_nope_head_dim=24,
    qk_rope_head_dim=8,
    v_head_dim=32,
    num_nextn_predict_layers=1,
)
"""The model of the tiny recipe. Query/key and value heads have one width, so that the fused attention of CPUs applies."""

DEEPSEEK_V3 = ModelConfig(
    model_type="deepseek_v3",
    vocab_size=129280,
    hidden_size=7168,
    intermediate_size=18432,
    num_hidden_layers=61,
    num_attention_heads=128,
    num_key_value_heads=128,
    max_position_embeddings=163840,
    rope_scaling={
        "rope_type": "yarn",
        "factor": 40,
        "original_max_position_embeddings": 4096,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
    },
    bos_token_id=0,
    eos_token_id=1,
    moe_intermediate_size=2048,
    n_shared_experts=1,
    n_routed_experts=256,
    num_experts_per_tok=8,
    routed_scaling_factor=2.5,
    n_group=8,
    topk_group=4,
    first_k_dense_replace=3,
    q_lora_rank=1536,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    num_nextn_predict_layers=1,
)
"""DeepSeek-V3 and R1 as released (arXiv:2412.19437, section 4.2; the released config.json)."""
