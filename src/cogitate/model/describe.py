"""How large a model is, without making it: parameters by block, active parameters, memory for weights and cache."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from cogitate.model.block import DecoderLayer
from cogitate.model.config import ModelConfig
from cogitate.model.kv_cache import cache_width
from cogitate.model.moe import MixtureOfExperts
from cogitate.model.transformer import Transformer

BYTES_OF_DTYPE = {"float32": 4.0, "bfloat16": 2.0, "float8_e4m3 (128 x 128 scales)": 1.0 + 4 / 128**2}
MACHINES = (
    ("a laptop of 8 GB", 8e9),
    ("a laptop of 32 GB", 32e9),
    ("one accelerator of 80 GB", 80e9),
    ("8 accelerators of 80 GB", 640e9),
    ("8 accelerators of 141 GB", 1128e9),
    ("16 accelerators of 141 GB", 2256e9),
)
CONTEXTS = (4096, 32768, 131072)


@dataclass(frozen=True)
class BlockRow:
    """One line of the table: `count` equal parts of `parameters` each, of which a token uses `active`."""

    name: str
    count: int
    parameters: int
    active: int


@dataclass(frozen=True)
class ModelDescription:
    """Counts of a model.

    Attributes:
        blocks: the parts of the main model; their parameters add up to `parameters`.
        parameters, mtp_parameters: without the MTP block; the MTP block alone (embedding and head are shared, not counted).
        active, active_without_embedding: parameters that one token is multiplied with, the embedding table whole or left out.
        cache_numbers: numbers kept for each token, all layers.
        plain_cache_numbers: the same if all heads kept whole keys and values.
    """

    config: ModelConfig
    blocks: tuple[BlockRow, ...]
    parameters: int
    mtp_parameters: int
    active: int
    active_without_embedding: int
    cache_numbers: int
    plain_cache_numbers: int

    def weight_bytes(self) -> dict[str, float]:
        """Bytes of the weights, the MTP block included, by storage type."""
        return {name: size * (self.parameters + self.mtp_parameters) for name, size in BYTES_OF_DTYPE.items()}

    def text(self) -> str:
        """The table that `cogitate describe` prints."""
        return "\n".join([*self._size_lines(), "", *self._memory_lines(), "", *self._fit_lines()])

    def _size_lines(self) -> list[str]:
        lines = [f"{'block':<44}{'count':>7}{'parameters':>14}{'active':>14}"]
        for row in self.blocks:
            total, active = human(row.count * row.parameters), human(row.count * row.active)
            lines.append(f"{row.name:<44}{row.count:>7}{total:>14}{active:>14}")
        lines.append(f"{'total':<44}{'':>7}{human(self.parameters):>14}{human(self.active):>14}")
        lines.append(f"{'total without the embedding table':<44}{'':>21}{human(self.active_without_embedding):>14}")
        if self.mtp_parameters:
            lines.append(f"{'MTP block, beside the total':<44}{'1':>7}{human(self.mtp_parameters):>14}")
        return lines

    def _memory_lines(self) -> list[str]:
        lines = [f"weights as {name}: {gigabytes(size)}" for name, size in self.weight_bytes().items()]
        kept, plain = 2 * self.cache_numbers, 2 * self.plain_cache_numbers
        lines.append(
            f"cache in bfloat16: {kept:,} bytes per token; with plain heads {plain:,}, {plain / kept:.1f} times as many"
        )
        return lines

    def _fit_lines(self) -> list[str]:
        """The three smallest machines that hold the weights in some type."""
        contexts = [n for n in CONTEXTS if n <= self.config.max_position_embeddings] or [self.config.max_position_embeddings]
        lines = ["completions whose cache (bfloat16) fits beside the weights, nine tenths of the memory used:"]
        lines.append(f"{'':<28}{'weights':<34}" + "".join(f"{f'{n:,} tokens':>16}" for n in contexts))
        smallest = min(self.weight_bytes().values())
        holding = [(machine, memory) for machine, memory in MACHINES if 0.9 * memory > smallest][:3]
        for machine, memory in holding:
            for name, size in self.weight_bytes().items():
                left = 0.9 * memory - size
                cells = [f"{int(left // (2 * self.cache_numbers * n)):,}" if left > 0 else "none" for n in contexts]
                lines.append(f"{machine:<28}{name:<34}" + "".join(f"{cell:>16}" for cell in cells))
        if not holding:
            lines.append(f"none of: {', '.join(machine for machine, _ in MACHINES)}")
        return lines


def describe(config: ModelConfig) -> ModelDescription:
    """Instantiate the model on the meta device, which costs no memory, and count."""
    with torch.device("meta"):
        model = Transformer(config)
    blocks = tuple(_block_rows(model))
    parameters = sum(row.count * row.parameters for row in blocks)
    active = sum(row.count * row.active for row in blocks)
    mtp = 0 if model.mtp is None else _count(model.mtp)
    assert parameters + mtp == _count(model), (parameters, mtp, _count(model))
    embedding = config.vocab_size * config.hidden_size
    per_head = config.qk_head_dim + config.v_head_dim if config.is_mla else 2 * config.head_width
    return ModelDescription(
        config=config,
        blocks=blocks,
        parameters=parameters,
        mtp_parameters=mtp,
        active=active,
        active_without_embedding=active if config.tie_word_embeddings else active - embedding,
        cache_numbers=config.num_hidden_layers * cache_width(config),
        plain_cache_numbers=config.num_hidden_layers * config.num_attention_heads * per_head,
    )


def human(number: float) -> str:
    """1234567 -> 1.23 M"""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:,.2f} {unit}"
    return f"{number:,.0f}"


def gigabytes(size: float) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:,.2f} MB"


def _block_rows(model: Transformer) -> list[BlockRow]:
    """Parts of equal name and size are one row."""
    config = model.config
    head_is_embedding = config.tie_word_embeddings
    found = [_row("embedding, also the head" if head_is_embedding else "embedding", model.embed_tokens)]
    for layer in model.layers:
        assert isinstance(layer, DecoderLayer)
        norms = _count(layer.input_layernorm) + _count(layer.post_attention_layernorm)
        found.append(_row("attention (MLA)" if config.is_mla else "attention (GQA)", layer.self_attn))
        found.append(BlockRow("norms of a layer", 1, norms, norms))
        mlp = layer.mlp
        if isinstance(mlp, MixtureOfExperts):
            routed = _count(mlp.experts)
            used = routed // config.n_routed_experts * config.num_experts_per_tok
            found.append(_row("router", mlp.gate))
            found.append(
                BlockRow(f"{config.n_routed_experts} routed experts, {config.num_experts_per_tok} active", 1, routed, used)
            )
            if mlp.shared_experts is not None:
                found.append(_row("shared experts", mlp.shared_experts))
        else:
            found.append(_row("dense MLP", mlp))
    found.append(_row("final norm", model.norm))
    if model.lm_head is not None:
        found.append(_row("head", model.lm_head))
    counts: dict[BlockRow, int] = {}
    for row in found:
        counts[row] = counts.get(row, 0) + 1
    return [BlockRow(row.name, count, row.parameters, row.active) for row, count in counts.items()]


def _row(name: str, module: nn.Module) -> BlockRow:
    return BlockRow(name, 1, _count(module), _count(module))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
