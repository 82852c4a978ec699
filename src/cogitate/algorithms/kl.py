"""Estimates of KL(pi || pi_ref) from the tokens that pi sampled (J. Schulman, "Approximating KL Divergence", 2020)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

KLEstimate = Callable[[Tensor, Tensor], Tensor]  # of the logprobs of the policy and of the reference


def k1_kl(logprobs_BT: Tensor, ref_logprobs_BT: Tensor) -> Tensor:
    """log(pi / pi_ref) of the sampled tokens: an unbiased estimate of KL(pi || pi_ref) that may be negative.

    For rewards, not for a loss: the expectation of its gradient is zero.
    """
    return logprobs_BT - ref_logprobs_BT


def k2_kl(logprobs_BT: Tensor, ref_logprobs_BT: Tensor) -> Tensor:
    """log(pi / pi_ref)^2 / 2: biased, never negative; its gradient is an unbiased one of KL(pi || pi_ref) on-policy."""
    return 0.5 * (logprobs_BT - ref_logprobs_BT).square()


def k3_kl(logprobs_BT: Tensor, ref_logprobs_BT: Tensor) -> Tensor:
    """pi_ref / pi - log(pi_ref / pi) - 1: unbiased, never negative (arXiv:2402.03300, equation 4). R1's choice."""
    log_ratio_BT = ref_logprobs_BT - logprobs_BT
    return torch.expm1(log_ratio_BT) - log_ratio_BT


KL_ESTIMATORS: dict[str, KLEstimate] = {"k1": k1_kl, "k2": k2_kl, "k3": k3_kl}
