"""The critic's loss in PPO."""

from __future__ import annotations

import torch
from torch import Tensor

from cogitate.algorithms.averages import BatchTotals, token_mean


def value_loss(
    values_BT: Tensor, old_values_BT: Tensor, returns_BT: Tensor, mask_BT: Tensor, *, clip_eps: float, totals: BatchTotals
) -> tuple[Tensor, Tensor]:
    """PPO's clipped value loss, 1/2 max((V - R)^2, (clip(V, V_old - eps, V_old + eps) - R)^2), averaged over tokens.

    From the PPO authors' code, not their paper; clip_eps = inf is the plain squared error.

    Returns:
        the loss, and the number of tokens where the clipped error was the larger one.
    """
    mask = mask_BT.bool()
    values, old, returns = (torch.where(mask, x, 0.0) for x in (values_BT, old_values_BT, returns_BT))
    plain = (values - returns).square()
    clipped = (values.clamp(old - clip_eps, old + clip_eps) - returns).square()
    loss = token_mean(0.5 * torch.maximum(plain, clipped), mask_BT, totals)
    return loss, ((clipped > plain) & mask).sum()
