"""Grouped-query attention (arXiv:2305.13245) of Llama, Qwen2 and Qwen3, and what every attention is told about its tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cogitate.model.causal_attention import attend, attend_masked
from cogitate.model.config import ModelConfig
from cogitate.model.kv_cache import KVCache, Places
from cogitate.model.layers import RMSNorm
from cogitate.model.linear import Linear
from cogitate.model.paged.reads import BlockReader, Cut
from cogitate.model.rope import attention_scale, rotate_halves, turn_halves
from cogitate.model.visibility import Visibility


@dataclass(frozen=True)
class CacheView:
    """Where the T new tokens of each row go in a cache, and what they may see there.

    Attributes:
        new: places of the new tokens.
        held: places of all tokens of the rows, the new ones included; None: no row held any, so new tokens see only each other.
        blocks: instead of `held`, what attends to the rows' blocks: steps on a device.
    """

    cache: KVCache
    new: Places
    held: Places | None
    blocks: BlockReader | None = None


@dataclass(frozen=True)
class TokenContext:
    """Shared by all layers of one forward pass.

    Attributes:
        rotation: complex64, broadcasts to (B, T, R): RoPE of the new tokens.
        seen: without a cache, what the tokens see of each other for each window size (None: no window).
        masks: with one, an additive mask that broadcasts to (B, 1, T, keys) for each window size; None instead of a mask stands
            for plain causal attention. In steps on a device there is none.
        view: the cache, None in training.
        turns: the rotation as steps on a device need it, where halves are rotated.
    """

    rotation: Tensor
    seen: dict[int | None, Visibility]
    masks: dict[int | None, Tensor | None]
    view: CacheView | None
    turns: tuple[Tensor, Tensor] | None = None


class GroupedQueryAttention(nn.Module):
    """H query heads share J key/value heads. q, k and v are one matrix multiplication, stored in this order."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.heads, self.kv_heads, self.width = config.num_attention_heads, config.num_key_value_heads, config.head_width
        self.scale = attention_scale(config)
        self.window = config.window_of_layer(layer)
        self._cut = Cut(self.kv_heads, self.kv_heads * self.width, self.width)
        self.in_proj = Linear(config.hidden_size, (self.heads + 2 * self.kv_heads) * self.width, bias=config.attention_bias)
        has_output_bias = config.attention_bias and not config.family.qkv_bias_only
        self.o_proj = Linear(self.heads * self.width, config.hidden_size, bias=has_output_bias)
        self.q_norm = RMSNorm(self.width, config.rms_norm_eps) if config.family.has_qk_norm else None
        self.k_norm = RMSNorm(self.width, config.rms_norm_eps) if config.family.has_qk_norm else None

    def forward(self, x_BTD: Tensor, context: TokenContext) -> Tensor:
        heads = self.in_proj(x_BTD).unflatten(-1, (-1, self.width))
        q, k, v = heads.split((self.heads, self.kv_heads, self.kv_heads), dim=2)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if context.turns is not None:
            heads = heads if self.q_norm is None else torch.cat((q, k, v), dim=2)
            return self._output(self._through_blocks(heads, context))
        rotation = context.rotation.unsqueeze(-2)
        q, k = rotate_halves(q, rotation), rotate_halves(k, rotation)
        if context.view is None:
            out_BTHK = attend(q, k, v, context.seen[self.window], self.scale)
        else:
            k, v = self._through_cache(k, v, context.view)
            out_BTHK = attend_masked(q, k, v, context.masks[self.window], self.scale)
        return self._output(out_BTHK)

    def _output(self, out_BTHK: Tensor) -> Tensor:
        out_BTD: Tensor = self.o_proj(out_BTHK.flatten(2))
        return out_BTD

    def _through_blocks(self, heads_BTXK: Tensor, context: TokenContext) -> Tensor:
        """A step on a device: rotate queries and keys, store keys and values, attend to all in the rows' blocks, (B, T, H, K).

        Args:
            heads_BTXK: queries, keys and values side by side, not rotated; overwritten.
        """
        view = context.view
        assert view is not None
        assert view.blocks is not None
        assert context.turns is not None
        turn_halves(heads_BTXK[:, :, : self.heads + self.kv_heads], context.turns)
        view.cache.write(self.layer, view.new, heads_BTXK[:, :, self.heads :].flatten(2))
        queries, entries = heads_BTXK[:, :, : self.heads], view.cache.entries_of(self.layer)
        return view.blocks.attend(queries, entries, self._cut, self.window, self.scale)

    def _through_cache(self, k_BTJK: Tensor, v_BTJK: Tensor, view: CacheView) -> tuple[Tensor, Tensor]:
        """Store the new keys and values; return all that the rows hold."""
        view.cache.write(self.layer, view.new, torch.cat((k_BTJK, v_BTJK), dim=2).flatten(2))
        if view.held is None:
            return k_BTJK, v_BTJK
        held = view.cache.read(self.layer, view.held).to(k_BTJK.dtype).unflatten(-1, (-1, self.width))
        k, v = held.split((self.kv_heads, self.kv_heads), dim=2)
        return k, v
