"""Which published tensors make up each of ours, by what a family has.

Our tensors fuse published ones (q, k, v; gate, up; all experts of a layer). Every fusion is one rule: our tensor, its leading
dimensions flattened, is the published tensors laid one after another. So import and export only copy rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cogitate.model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Part:
    """A published tensor: its name in checkpoint files and its shape there."""

    name: str
    shape: tuple[int, ...]


NameTable = dict[str, list[Part]]


def name_table(config: ModelConfig) -> NameTable:
    """Our parameter and buffer names to published tensors, for the model without its MTP block."""
    table = {"embed_tokens.weight": [Part("model.embed_tokens.weight", (config.vocab_size, config.hidden_size))]}
    for layer in range(config.num_hidden_layers):
        table |= _layer(config, layer, f"layers.{layer}.", f"model.layers.{layer}.")
    table["norm.weight"] = [Part("model.norm.weight", (config.hidden_size,))]
    if not config.tie_word_embeddings:
        table["lm_head.weight"] = [Part("lm_head.weight", (config.vocab_size, config.hidden_size))]
    return table


def mtp_name_table(config: ModelConfig) -> NameTable:
    """The same for the MTP block, which released checkpoints number as one more layer; empty without one."""
    if not config.num_nextn_predict_layers:
        return {}
    width, layer = config.hidden_size, config.num_hidden_layers
    published = f"model.layers.{layer}."
    return {
        "mtp.enorm.weight": [Part(f"{published}enorm.weight", (width,))],
        "mtp.hnorm.weight": [Part(f"{published}hnorm.weight", (width,))],
        "mtp.eh_proj.weight": [Part(f"{published}eh_proj.weight", (width, 2 * width))],
        "mtp.norm.weight": [Part(f"{published}shared_head.norm.weight", (width,))],
        **_layer(config, layer, "mtp.block.", published),
    }


def mtp_copies(config: ModelConfig) -> dict[str, str]:
    """Tensors that released checkpoints repeat in the MTP layer, and which of the main model's they repeat."""
    published = f"model.layers.{config.num_hidden_layers}."
    head = "model.embed_tokens.weight" if config.tie_word_embeddings else "lm_head.weight"
    return {f"{published}embed_tokens.weight": "model.embed_tokens.weight", f"{published}shared_head.head.weight": head}


def _layer(config: ModelConfig, layer: int, ours: str, published: str) -> NameTable:
    attention = _latent_attention(config) if config.is_mla else _grouped_attention(config)
    if config.is_moe_layer(layer):
        mlp = dict(_mixture(config))
    else:
        mlp = dict(_mlp("mlp.", config.hidden_size, config.intermediate_size, bias=config.mlp_bias))
    norms = {
        f"{name}.weight": [Part(f"{name}.weight", (config.hidden_size,))]
        for name in ("input_layernorm", "post_attention_layernorm")
    }
    return {
        ours + name: [Part(published + part.name, part.shape) for part in parts]
        for name, parts in (norms | dict(attention) | mlp).items()
    }


def _grouped_attention(config: ModelConfig) -> Iterator[tuple[str, list[Part]]]:
    width, head = config.hidden_size, config.head_width
    rows = {
        "q": config.num_attention_heads * head,
        "k": config.num_key_value_heads * head,
        "v": config.num_key_value_heads * head,
    }
    yield "self_attn.in_proj.weight", [Part(f"self_attn.{x}_proj.weight", (n, width)) for x, n in rows.items()]
    if config.attention_bias:
        yield "self_attn.in_proj.bias", [Part(f"self_attn.{x}_proj.bias", (n,)) for x, n in rows.items()]
    if config.family.has_qk_norm:
        for norm in ("q_norm", "k_norm"):
            yield f"self_attn.{norm}.weight", [Part(f"self_attn.{norm}.weight", (head,))]
    yield "self_attn.o_proj.weight", [Part("self_attn.o_proj.weight", (width, rows["q"]))]
    if config.attention_bias and not config.family.qkv_bias_only:
        yield "self_attn.o_proj.bias", [Part("self_attn.o_proj.bias", (width,))]


def _latent_attention(config: ModelConfig) -> Iterator[tuple[str, list[Part]]]:
    width, heads, latent = config.hidden_size, config.num_attention_heads, config.kv_lora_rank
    queries, entries = heads * config.qk_head_dim, latent + config.qk_rope_head_dim
    query = Part("self_attn.q_proj.weight", (queries, width))
    biases = [Part("self_attn.kv_a_proj_with_mqa.bias", (entries,))]
    if config.q_lora_rank is not None:
        query = Part("self_attn.q_a_proj.weight", (config.q_lora_rank, width))
        biases.insert(0, Part("self_attn.q_a_proj.bias", (config.q_lora_rank,)))
        yield "self_attn.q_a_layernorm.weight", [Part("self_attn.q_a_layernorm.weight", (config.q_lora_rank,))]
        yield "self_attn.q_b_proj.weight", [Part("self_attn.q_b_proj.weight", (queries, config.q_lora_rank))]
    yield "self_attn.in_proj.weight", [query, Part("self_attn.kv_a_proj_with_mqa.weight", (entries, width))]
    yield "self_attn.kv_a_layernorm.weight", [Part("self_attn.kv_a_layernorm.weight", (latent,))]
    expanded = heads * (config.qk_nope_head_dim + config.v_head_dim)
    yield "self_attn.kv_b_proj.weight", [Part("self_attn.kv_b_proj.weight", (expanded, latent))]
    yield "self_attn.o_proj.weight", [Part("self_attn.o_proj.weight", (width, heads * config.v_head_dim))]
    if config.attention_bias:
        yield "self_attn.in_proj_bias", biases
        yield "self_attn.o_proj.bias", [Part("self_attn.o_proj.bias", (width,))]


def _mlp(prefix: str, width: int, inner: int, *, bias: bool = False) -> Iterator[tuple[str, list[Part]]]:
    yield f"{prefix}gate_up_proj.weight", [Part(f"{prefix}{x}_proj.weight", (inner, width)) for x in ("gate", "up")]
    yield f"{prefix}down_proj.weight", [Part(f"{prefix}down_proj.weight", (width, inner))]
    if bias:
        yield f"{prefix}gate_up_proj.bias", [Part(f"{prefix}{x}_proj.bias", (inner,)) for x in ("gate", "up")]
        yield f"{prefix}down_proj.bias", [Part(f"{prefix}down_proj.bias", (width,))]


def _mixture(config: ModelConfig) -> Iterator[tuple[str, list[Part]]]:
    width, inner, experts = config.hidden_size, config.moe_intermediate_size, range(config.n_routed_experts)
    yield "mlp.gate.weight", [Part("mlp.gate.weight", (len(experts), width))]
    if config.family.has_router_bias:
        yield "mlp.gate.e_score_correction_bias", [Part("mlp.gate.e_score_correction_bias", (len(experts),))]
    yield (
        "mlp.experts.gate_up_proj",
        [Part(f"mlp.experts.{e}.{x}_proj.weight", (inner, width)) for e in experts for x in ("gate", "up")],
    )
    yield "mlp.experts.down_proj", [Part(f"mlp.experts.{e}.down_proj.weight", (width, inner)) for e in experts]
    if config.n_shared_experts:
        yield from _mlp("mlp.shared_experts.", width, inner * config.n_shared_experts)
