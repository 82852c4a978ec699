"""What multi-head latent attention makes of its input projection, with a hand-written backward pass.

Eager PyTorch would copy queries, latents and their gradients several times over to cut, normalise, rotate and join them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def queries_and_entries(
    projected_BTX: Tensor, norm_weight_L: Tensor, rotation: Tensor, eps: float, heads: int, nope: int
) -> tuple[Tensor, Tensor]:
    """Cut [queries | latent | key], normalise the latent (RMSNorm) and rotate queries and key (neighbouring pairs).

    Args:
        projected_BTX: float32 (B, T, H * (nope + R) + L + R); H * (nope + R), nope and L must be even.
        rotation: complex64 that broadcasts to (B, T, R / 2).

    Returns:
        (B, T, H, nope + R) and (B, T, L + R).
    """
    return _QueriesAndEntries.apply(projected_BTX, norm_weight_L, rotation, eps, heads, nope)


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


def _pairs(x: Tensor) -> Tensor:
    """(..., 2 * R) as complex (..., R), the same memory."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))
