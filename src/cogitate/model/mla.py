"""Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1; DeepSeek-V3, arXiv:2412.19437, section 2.1.1).

Keys and values are expanded from one small latent per token. Two forms compute the same:
naive (training, prefill) expands them and attends as usual; absorbed (decoding) folds the expansion of keys into the query
and that of values into the output, so that only latents are read, and only latents are cached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cogitate.model.attention import TokenContext
from cogitate.model.causal_attention import attend, attend_masked
from cogitate.model.config import ModelConfig
from cogitate.model.layers import RMSNorm
from cogitate.model.linear import Linear
from cogitate.model.paged.reads import Cut
from cogitate.model.rope import attention_scale, rotate_halves, rotate_pairs


class MultiHeadLatentAttention(nn.Module):
    """in_proj is one matrix multiplication for what the published code calls q_proj (or q_a_proj) and kv_a_proj_with_mqa."""

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.heads = config.num_attention_heads
        self.nope, self.rope, self.v_width = config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim
        self.latent = config.kv_lora_rank
        self._cut = Cut(kv_heads=1, values_at=0, value_width=self.latent)
        self.scale = attention_scale(config)
        self.rotate = rotate_pairs if config.rope_interleave else rotate_halves
        self.query_width = config.q_lora_rank or self.heads * config.qk_head_dim

        even = all(width % 2 == 0 for width in (self.query_width, self.nope, self.latent))
        self._fused = config.q_lora_rank is None and config.rope_interleave and even

        self.in_proj = Linear(config.hidden_size, self.query_width + self.latent + self.rope, bias=False)
        # The published q_proj has no bias even where its neighbour has one.
        biased = self.in_proj.out_features if config.q_lora_rank else self.latent + self.rope
        self.in_proj_bias = nn.Parameter(torch.zeros(biased)) if config.attention_bias else None
        self.q_a_layernorm = self.q_b_proj = None
        if config.q_lora_rank is not None:
            self.q_a_layernorm = RMSNorm(config.q_lora_rank, 1e-6)
            self.q_b_proj = Linear(config.q_lora_rank, self.heads * config.qk_head_dim, bias=False)
        self.kv_a_layernorm = RMSNorm(self.latent, 1e-6)
        self.kv_b_proj = Linear(self.latent, self.heads * (self.nope + self.v_width), bias=False)
        self.o_proj = Linear(self.heads * self.v_width, config.hidden_size, bias=config.attention_bias)

    def forward(self, x_BTD: Tensor, context: TokenContext) -> Tensor:
        q_BTHK, entries_BTW = self.queries_and_entries(x_BTD, context.rotation)
        view = context.view
        if view is None:
            out_BTHK = attend(q_BTHK, *self.keys_and_values(entries_BTW), context.seen[None], self.scale)[..., : self.v_width]
            return self._output(out_BTHK)
        view.cache.write(self.layer, view.new, entries_BTW)
        if view.blocks is not None:
            queries, entries = self.queries_of_latents(q_BTHK), view.cache.entries_of(self.layer)
            out_BTHK = self.values_of_latents(view.blocks.attend(queries, entries, self._cut, None, self.scale))
        elif view.held is None:
            out_BTHK = self.attend_naive(q_BTHK, entries_BTW, context.masks[None])
        else:
            held_BSW, mask = view.cache.read(self.layer, view.held).to(q_BTHK.dtype), context.masks[None]
            assert mask is not None
            out_BTHK = self.attend_absorbed(q_BTHK, held_BSW, mask)
        return self._output(out_BTHK)

    def _output(self, out_BTHK: Tensor) -> Tensor:
        out_BTD: Tensor = self.o_proj(out_BTHK.flatten(2))
        return out_BTD

    def queries_and_entries(self, x_BTD: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
        """Rotated queries (B, T, H, nope + rope) and what the cache keeps: normalised latent and rotated key, (B, T, W)."""
        projected = self.in_proj(x_BTD)
        if self.in_proj_bias is not None:
            projected = projected + F.pad(self.in_proj_bias, (projected.shape[-1] - self.in_proj_bias.shape[0], 0))
        in_few_kernels = torch.is_inference_mode_enabled() and not projected.is_cpu  # which the function has more of
        if self._fused and projected.dtype == torch.float32 and not in_few_kernels:
            norm = self.kv_a_layernorm
            return queries_and_entries(projected, norm.weight, rotation, norm.eps, self.heads, self.nope)
        query, latent, key = projected.split((self.query_width, self.latent, self.rope), dim=-1)
        if self.q_b_proj is not None and self.q_a_layernorm is not None:
            query = self.q_b_proj(self.q_a_layernorm(query))
        q_nope, q_rope = query.unflatten(-1, (self.heads, -1)).split((self.nope, self.rope), dim=-1)
        q_BTHK = torch.cat((q_nope, self.rotate(q_rope, rotation.unsqueeze(-2))), dim=-1)
        return q_BTHK, torch.cat((self.kv_a_layernorm(latent), self.rotate(key, rotation)), dim=-1)

    def attend_naive(self, q_BTHK: Tensor, entries_BTW: Tensor, mask: Tensor | None) -> Tensor:
        """Expand keys and values, then attend; mask None is plain causal. Returns (B, T, H, v_head_dim)."""
        return attend_masked(q_BTHK, *self.keys_and_values(entries_BTW), mask, self.scale)[..., : self.v_width]

    def keys_and_values(self, entries_BTW: Tensor) -> tuple[Tensor, Tensor]:
        """Expanded, (B, T, H, nope + rope) both: values are filled up to the width of keys."""
        key_weight, value_weight = self._expansions()
        keys = F.linear(entries_BTW, key_weight).unflatten(-1, (self.heads, -1))
        return keys, F.linear(entries_BTW, value_weight).unflatten(-1, (self.heads, -1))

    def _expansions(self) -> tuple[Tensor, Tensor]:
        """kv_b_proj as two matrices on whole entries, so that keys and values come out of multiplications ready to attend.

        An identity carries the rotated key into each head's key; values are padded to the width of keys, which the fused
        attention kernels want.
        """
        expand_HKL = self.kv_b_proj.weight.unflatten(0, (self.heads, -1))
        key_HKL, value_HVL = expand_HKL.split((self.nope, self.v_width), dim=1)
        key_HKW = F.pad(key_HKL, (0, self.rope, 0, self.rope))
        carry_KW = torch.zeros_like(key_HKW[0])
        carry_KW[self.nope :, self.latent :].fill_diagonal_(1.0)
        value_HKW = F.pad(value_HVL, (0, self.rope, 0, max(self.nope + self.rope - self.v_width, 0)))
        return (key_HKW + carry_KW).flatten(0, 1), value_HKW.flatten(0, 1)

    def attend_absorbed(self, q_BTHK: Tensor, held_BSW: Tensor, mask: Tensor) -> Tensor:
        """Attend to latents directly. Returns (B, T, H, v_head_dim).

        Args:
            mask: additive, broadcasts to (B, 1, T, S).
        """
        batch, tokens = q_BTHK.shape[:2]
        q_BXW = self.queries_of_latents(q_BTHK).view(batch, tokens * self.heads, -1)
        scores = torch.bmm(q_BXW, held_BSW.transpose(1, 2)).view(batch, tokens, self.heads, -1).mul_(self.scale)
        weights = torch.softmax(scores + mask.transpose(1, 2), dim=-1, dtype=torch.float32).to(q_BTHK.dtype)
        out_latent = torch.bmm(weights.view(batch, tokens * self.heads, -1), held_BSW[..., : self.latent])
        return self.values_of_latents(out_latent.view(batch, tokens, self.heads, -1))

    def queries_of_latents(self, q_BTHK: Tensor) -> Tensor:
        """Queries with the expansion of keys folded in, for entries of the cache: (B, T, H, latent + rope)."""
        key_HKL = self.kv_b_proj.weight.unflatten(0, (self.heads, -1))[:, : self.nope]
        q_nope, q_rope = q_BTHK.split((self.nope, self.rope), dim=-1)
        return torch.cat((torch.einsum("bthk,hkl->bthl", q_nope, key_HKL), q_rope), dim=-1)

    def values_of_latents(self, latent_BTHL: Tensor) -> Tensor:
        """What attention over latents has made, expanded to values: (B, T, H, v_head_dim)."""
        value_HVL = self.kv_b_proj.weight.unflatten(0, (self.heads, -1))[:, self.nope :]
        return torch.einsum("bthl,hvl->bthv", latent_BTHL, value_HVL)


def queries_and_entries(
    projected_BTX: Tensor, norm_weight_L: Tensor, rotation: Tensor, eps: float, heads: int, nope: int
) -> tuple[Tensor, Tensor]:
    """Cut [queries | latent | key], normalise the latent (RMSNorm) and rotate queries and key (neighbouring pairs).

    The backward pass is written by hand: eager PyTorch would copy queries, latents and their gradients several times over to
    cut, normalise, rotate and join them.

    Args:
        projected_BTX: float32 (B, T, H * (nope + R) + L + R); H * (nope + R), nope and L must be even.
        rotation: complex64 that broadcasts to (B, T, R / 2).

    Returns:
        (B, T, H, nope + R) and (B, T, L + R).
    """
    return _queries_and_entries(projected_BTX, norm_weight_L, rotation, eps, heads, nope)


class _QueriesAndEntries(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, norm_weight_L: Tensor, rotation: Tensor, eps: float, heads: int, nope: int
    ) -> tuple[Tensor, Tensor]:
        latents, rotated = norm_weight_L.shape[0], 2 * rotation.shape[-1]
        query, latent, key = projected.split((projected.shape[-1] - latents - rotated, latents, rotated), dim=-1)
        q_BTHK = query.unflatten(-1, (heads, -1)).clone(memory_format=torch.contiguous_format)
        _pairs(q_BTHK[..., nope:]).mul_(rotation.unsqueeze(-2))
        entries = projected.new_empty(*projected.shape[:-1], latents + rotated)
        inverse = torch.linalg.vector_norm(latent, dim=-1, keepdim=True).square_().div_(latents).add_(eps).rsqrt_()
        torch.mul(latent, inverse, out=entries[..., :latents]).mul_(norm_weight_L)
        torch.mul(_pairs(key), rotation, out=_pairs(entries[..., latents:]))
        ctx.save_for_backward(projected, norm_weight_L, rotation, inverse)
        ctx.nope = nope
        return q_BTHK, entries

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        projected, norm_weight_L, rotation, inverse = ctx.saved_tensors
        q_grad, entries_grad = grads
        latents, rotated = norm_weight_L.shape[0], 2 * rotation.shape[-1]
        widths = (projected.shape[-1] - latents - rotated, latents, rotated)
        back = rotation.conj().resolve_conj()
        result = torch.empty_like(projected)
        query_part, latent_part, key_part = result.split(widths, dim=-1)

        query_part = query_part.unflatten(-1, (q_grad.shape[-2], -1)).copy_(q_grad)
        _pairs(query_part[..., ctx.nope :]).mul_(back.unsqueeze(-2))
        torch.mul(_pairs(entries_grad[..., latents:].contiguous()), back, out=_pairs(key_part))

        latent, normed_grad = projected.split(widths, dim=-1)[1], entries_grad[..., :latents]
        product = normed_grad * latent
        weight_grad_L = torch.mv(product.flatten(0, -2).t(), inverse.flatten())
        coefficient = torch.mv(product.flatten(0, -2), norm_weight_L).view(inverse.shape)
        coefficient.mul_(inverse.pow(3)).div_(-latents)
        torch.mul(normed_grad, norm_weight_L, out=latent_part).mul_(inverse).addcmul_(latent, coefficient)
        return result, weight_grad_L, None, None, None, None


_queries_and_entries: Callable[[Tensor, Tensor, Tensor, float, int, int], tuple[Tensor, Tensor]] = _QueriesAndEntries.apply


def _pairs(x: Tensor) -> Tensor:
    """(..., 2 * R) as complex (..., R), the same memory."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))
