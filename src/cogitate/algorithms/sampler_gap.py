"""The difference between the engine that sampled a token and the learner: its correction in the loss, and its size."""

from __future__ import annotations

import torch
from torch import Tensor


def truncated_importance_weights(
    old_logprobs_BT: Tensor, sampler_logprobs_BT: Tensor, mask_BT: Tensor, *, cap: float
) -> Tensor:
    """min(pi_old / pi_sampler, cap) per token: undoes the difference between the engine that sampled and the learner.

    The two run the same weights by different kernels or precisions (Yao et al., "Your efficient RL framework secretly brings
    you off-policy RL training", 2025). Without gradient; 1 outside the mask.
    """
    if cap <= 0:
        raise ValueError(f"the cap of importance weights must be positive, got {cap}")
    gap_BT = torch.where(mask_BT.bool(), old_logprobs_BT.detach() - sampler_logprobs_BT, 0.0)
    return gap_BT.exp().clamp(max=cap)


def logprob_gap(logprobs_BT: Tensor, sampler_logprobs_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over counted tokens, and largest, of |log pi_learner - log pi_sampler|: rounding, where weights are equal."""
    gap_BT = torch.where(mask_BT.bool(), (logprobs_BT.detach() - sampler_logprobs_BT).abs(), 0.0)
    return gap_BT.sum(), gap_BT.max()
