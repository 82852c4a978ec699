"""Entropy kept by restricting the few tokens that lower it most: KL-Cov and Clip-Cov (arXiv:2505.22617).

The entropy of a policy falls as log pi and advantage covary, and a few tokens carry most of that. Both methods find them over a
whole batch, so that the choice is made before the batch is cut into micro-batches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cogitate.algorithms.loss_parts import Surrogate, clipped_surrogate, log_ratio_of, per_token, policy_loss
from cogitate.device import send


def covariances(logprobs_N: Tensor, advantages_N: Tensor) -> Tensor:
    """(log pi - its mean) (A - its mean) of each token of a batch; their mean is the covariance.

    Args:
        logprobs_N, advantages_N: float (N,), of the counted tokens alone.
    """
    return (logprobs_N - logprobs_N.mean()) * (advantages_N - advantages_N.mean())


def highest_covariances(covariances_N: Tensor, *, share: float) -> Tensor:
    """KL-Cov's choice: the share of the tokens whose covariance is highest, at least one; the first of equals.

    Returns:
        bool (N,).
    """
    chosen = covariances_N.argsort(descending=True, stable=True)[: number_of(share, len(covariances_N))]
    return torch.zeros_like(covariances_N, dtype=torch.bool).index_fill(0, chosen, True)


def drawn_covariances(covariances_N: Tensor, *, share: float, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Clip-Cov's choice: a share of all tokens, at least one, drawn from those whose covariance is between the bounds.

    Args:
        generator: on the CPU; it alone decides which are drawn.

    Returns:
        bool (N,); fewer than the share where fewer are between the bounds.
    """
    between = ((covariances_N > low) & (covariances_N < high)).nonzero().squeeze(1)
    order = send(torch.randperm(len(between), generator=generator), between.device)
    chosen = between[order[: number_of(share, len(covariances_N))]]
    return torch.zeros_like(covariances_N, dtype=torch.bool).index_fill(0, chosen, True)


def number_of(share: float, tokens: int) -> int:
    """A share of the tokens, at least one."""
    return max(1, int(share * tokens))


@policy_loss
def kl_cov_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages: Tensor,
    mask_BT: Tensor,
    *,
    chosen_BT: Tensor,
    covariance_kl: float,
) -> Surrogate:
    """KL-Cov: loss = -average(ratio A), plus covariance_kl times the KL to pi_old on the chosen tokens alone.

    Nothing is clipped. The KL of a token is |log ratio|, as in the authors' code.

    Args:
        chosen_BT: bool (B, T), from `highest_covariances`.
    """
    log_ratio_BT = log_ratio_of(logprobs_BT, old_logprobs_BT, mask_BT)
    surrogate_BT = -log_ratio_BT.exp() * per_token(advantages, logprobs_BT)
    surrogate_BT = surrogate_BT + covariance_kl * torch.where(chosen_BT, log_ratio_BT.abs(), 0.0)
    return Surrogate(surrogate_BT, log_ratio_BT)


@policy_loss
def clip_cov_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages: Tensor,
    mask_BT: Tensor,
    *,
    chosen_BT: Tensor,
    clip_eps_low: float,
    clip_eps_high: float,
) -> Surrogate:
    """Clip-Cov: GRPO's clipped surrogate, in which the chosen tokens lose their gradient. Bounds as in `grpo_loss`.

    Args:
        chosen_BT: bool (B, T), from `drawn_covariances`; they still count in the average's divisor.
    """
    log_ratio_BT = log_ratio_of(logprobs_BT, old_logprobs_BT, mask_BT)
    advantages_BT = per_token(advantages, logprobs_BT)
    surrogate_BT, low_BT, high_BT = clipped_surrogate(log_ratio_BT.exp(), advantages_BT, clip_eps_low, clip_eps_high)
    return Surrogate(torch.where(chosen_BT, 0.0, surrogate_BT), log_ratio_BT, low_BT & ~chosen_BT, high_BT | chosen_BT)
