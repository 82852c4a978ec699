"""The difference between the engine that sampled a token and the learner: its correction in the loss, and its size.

The two run the same weights by different kernels or precisions (Yao et al., "Your efficient RL framework secretly brings you
off-policy RL training", 2025). A correction is a weight pi_old / pi_sampler of each token, without gradient: of the token
alone, or of the whole completion, which is unbiased but varies far more. Weights beyond a cap are lowered to it (truncated
importance sampling), or their tokens are left out (masked).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def truncated_importance_weights(
    old_logprobs_BT: Tensor, sampler_logprobs_BT: Tensor, mask_BT: Tensor, *, cap: float
) -> Tensor:
    """min(pi_old / pi_sampler, cap) per token; 1 outside the mask."""
    return _gap(old_logprobs_BT, sampler_logprobs_BT, mask_BT, cap).exp().clamp(max=cap)


def masked_importance_weights(old_logprobs_BT: Tensor, sampler_logprobs_BT: Tensor, mask_BT: Tensor, *, cap: float) -> Tensor:
    """pi_old / pi_sampler per token, 0 where it is above the cap; 1 outside the mask."""
    return _masked(_gap(old_logprobs_BT, sampler_logprobs_BT, mask_BT, cap).exp(), cap)


def truncated_sequence_weights(old_logprobs_BT: Tensor, sampler_logprobs_BT: Tensor, mask_BT: Tensor, *, cap: float) -> Tensor:
    """min(pi_old(y) / pi_sampler(y), cap) of the whole completion y, for each of its tokens."""
    return _of_completions(_gap(old_logprobs_BT, sampler_logprobs_BT, mask_BT, cap)).clamp(max=cap)


def masked_sequence_weights(old_logprobs_BT: Tensor, sampler_logprobs_BT: Tensor, mask_BT: Tensor, *, cap: float) -> Tensor:
    """pi_old(y) / pi_sampler(y) of the whole completion y for each of its tokens, 0 where it is above the cap."""
    return _masked(_of_completions(_gap(old_logprobs_BT, sampler_logprobs_BT, mask_BT, cap)), cap)


IMPORTANCE_WEIGHTS: dict[str, Callable[..., Tensor]] = {
    "token_truncate": truncated_importance_weights,
    "token_mask": masked_importance_weights,
    "sequence_truncate": truncated_sequence_weights,
    "sequence_mask": masked_sequence_weights,
}


def logprob_gap(logprobs_BT: Tensor, sampler_logprobs_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over counted tokens, and largest, of |log pi_learner - log pi_sampler|: rounding, where weights are equal."""
    gap_BT = torch.where(mask_BT.bool(), (logprobs_BT.detach() - sampler_logprobs_BT).abs(), 0.0)
    return gap_BT.sum(), gap_BT.max()


def _gap(old_logprobs_BT: Tensor, sampler_logprobs_BT: Tensor, mask_BT: Tensor, cap: float) -> Tensor:
    """log(pi_old / pi_sampler), 0 outside the mask."""
    if cap <= 0:
        raise ValueError(f"the cap of importance weights must be positive, got {cap}")
    return torch.where(mask_BT.bool(), old_logprobs_BT.detach() - sampler_logprobs_BT, 0.0)


def _of_completions(gap_BT: Tensor) -> Tensor:
    return gap_BT.sum(1, keepdim=True).exp().expand_as(gap_BT)


def _masked(weights_BT: Tensor, cap: float) -> Tensor:
    return torch.where(weights_BT > cap, 0.0, weights_BT)
