"""What the policy losses share: ratios, the clipped surrogate, the KL to a reference, and the statistics of a micro-batch.

Values outside the mask are never read, NaN included.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cogitate.algorithms.averages import Average, BatchTotals
from cogitate.algorithms.kl import KLEstimate, k3_kl
from cogitate.algorithms.numbers import as_floats

OverAll = Callable[[Sequence[float]], list[float]]
SUMS = "tokens", "clipped_low", "clipped_high", "ratio_sum", "old_kl_sum", "kl_sum"  # of RatioStatistics


@dataclass(frozen=True, slots=True)
class RatioStatistics:
    """Sums over counted tokens; micro-batches add up (`+`) to the exact statistics of the batch.

    Attributes:
        tokens: counted tokens.
        clipped_low, clipped_high: tokens whose gradient the lower or the upper bound removed (CISPO: whose weight it changed;
            Clip-Cov: removed for their covariance count as high).
        ratio_sum, ratio_max: of pi / pi_old.
        old_kl_sum: k3 estimate of KL(pi_old || pi), how far this step has moved from the policy that sampled.
        kl_sum: k3 estimate of KL(pi || pi_ref); 0 without a reference.
    """

    tokens: Tensor
    clipped_low: Tensor
    clipped_high: Tensor
    ratio_sum: Tensor
    ratio_max: Tensor
    old_kl_sum: Tensor
    kl_sum: Tensor

    def __add__(self, other: RatioStatistics) -> RatioStatistics:
        return RatioStatistics(
            self.tokens + other.tokens,
            self.clipped_low + other.clipped_low,
            self.clipped_high + other.clipped_high,
            self.ratio_sum + other.ratio_sum,
            torch.maximum(self.ratio_max, other.ratio_max),
            self.old_kl_sum + other.old_kl_sum,
            self.kl_sum + other.kl_sum,
        )

    def metrics(self, added: OverAll = list, highest: OverAll = list) -> dict[str, float]:
        """Means over tokens, named as they are logged.

        Args:
            added, highest: the sum, and the largest, of each number over all who have a part of the batch.
        """
        *sums, largest = as_floats([*(getattr(self, name) for name in SUMS), self.ratio_max])
        counted, low, high, ratio, old_kl, kl = added(sums)
        (largest,) = highest([largest])
        tokens = max(1.0, counted)
        low, high = low / tokens, high / tokens
        return {
            "clip_share": low + high,
            "clip_share_low": low,
            "clip_share_high": high,
            "ratio_mean": ratio / tokens,
            "ratio_max": largest,
            "old_kl": old_kl / tokens,
            "kl": kl / tokens,
        }


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """`loss` is this micro-batch's share of the batch's loss: call backward on it as it is, without any further division."""

    loss: Tensor
    statistics: RatioStatistics


@dataclass(frozen=True, slots=True)
class Surrogate:
    """What a method loses on each token, before importance weights and the KL to the reference; all (B, T).

    Attributes:
        log_ratio_BT: that of the statistics.
        low_BT, high_BT: tokens that the lower and the upper bound changed; None: there are no bounds.
    """

    losses_BT: Tensor
    log_ratio_BT: Tensor
    low_BT: Tensor | None = None
    high_BT: Tensor | None = None


def policy_loss(surrogate: Callable[..., Surrogate]) -> Callable[..., PolicyLoss]:
    """The whole loss of a method: average(w surrogate + beta KL to a reference), and the statistics.

    The loss is called as the surrogate is, and with what all losses read. Its arguments, beside the method's own settings:

        logprobs_BT: float (B, T), with gradient, at the sampling temperature.
        old_logprobs_BT: float (B, T) of the policy as it was when the batch was sampled, by the learner's own forward pass;
            None is `logprobs_BT` itself, right only for the first step on a batch (ratio 1, unchanged gradient).
        advantages: float (B,), one per completion, or (B, T).
        mask_BT: (B, T), 1 for counted tokens.
        average: sequence_mean, token_mean or dr_grpo_mean.
        totals: of the whole batch of this optimiser step.
        ref_logprobs_BT: float (B, T); needed where kl_beta > 0, otherwise only measured.
        kl_estimate: of the loss, k3_kl or k2_kl; what is measured is always k3.
        importance_weights_BT: w, from sampler_gap.py; it multiplies the surrogate, not the KL.
    """

    @functools.wraps(surrogate)
    def loss(
        logprobs_BT: Tensor,
        old_logprobs_BT: Tensor | None,
        advantages: Tensor,
        mask_BT: Tensor,
        *,
        average: Average,
        totals: BatchTotals,
        ref_logprobs_BT: Tensor | None = None,
        kl_beta: float = 0.0,
        kl_estimate: KLEstimate = k3_kl,
        importance_weights_BT: Tensor | None = None,
        **settings: Any,
    ) -> PolicyLoss:
        made = surrogate(logprobs_BT, old_logprobs_BT, advantages, mask_BT, **settings)
        losses_BT = weighted(made.losses_BT, importance_weights_BT, mask_BT)
        kl_BT, measured_BT = reference_kl(logprobs_BT, ref_logprobs_BT, mask_BT, kl_beta, kl_estimate)
        none_BT = torch.zeros_like(mask_BT, dtype=torch.bool)
        low_BT, high_BT = (none_BT if bound is None else bound for bound in (made.low_BT, made.high_BT))
        statistics = statistics_of(made.log_ratio_BT, low_BT, high_BT, measured_BT, mask_BT)
        return PolicyLoss(average(losses_BT + kl_beta * kl_BT, mask_BT, totals), statistics)

    return loss


def log_ratio_of(logprobs_BT: Tensor, old_logprobs_BT: Tensor | None, mask_BT: Tensor) -> Tensor:
    """log(pi / pi_old), 0 outside the mask."""
    old_BT = logprobs_BT.detach() if old_logprobs_BT is None else old_logprobs_BT.detach()
    return torch.where(mask_BT.bool(), logprobs_BT - old_BT, 0.0)


def per_token(advantages: Tensor, logprobs_BT: Tensor) -> Tensor:
    """Advantages (B,) as (B, 1), or (B, T) as they are; without gradient."""
    advantages = advantages.detach()
    per_token = advantages[:, None] if advantages.dim() == 1 else advantages
    if per_token.shape not in ((logprobs_BT.shape[0], 1), logprobs_BT.shape):
        raise ValueError(f"advantages have shape {tuple(advantages.shape)}, want (B,) or (B, T) of {tuple(logprobs_BT.shape)}")
    return per_token


def clipped_surrogate(
    ratio_BT: Tensor, advantages_BT: Tensor, eps_low: float, eps_high: float
) -> tuple[Tensor, Tensor, Tensor]:
    """-min(ratio A, clip(ratio) A), and where the lower and the upper bound took effect."""
    clipped_BT = ratio_BT.clamp(1.0 - eps_low, 1.0 + eps_high)
    losses_BT = -torch.minimum(ratio_BT * advantages_BT, clipped_BT * advantages_BT)
    low_BT = (ratio_BT < 1.0 - eps_low) & (advantages_BT < 0)
    high_BT = (ratio_BT > 1.0 + eps_high) & (advantages_BT > 0)
    return losses_BT, low_BT, high_BT


def weighted(losses_BT: Tensor, weights_BT: Tensor | None, mask_BT: Tensor) -> Tensor:
    """Losses times the importance weights, where there are any."""
    if weights_BT is None:
        return losses_BT
    return losses_BT * torch.where(mask_BT.bool(), weights_BT.detach(), 0.0)


def reference_kl(
    logprobs_BT: Tensor, ref_logprobs_BT: Tensor | None, mask_BT: Tensor, kl_beta: float, estimate: KLEstimate
) -> tuple[Tensor, Tensor]:
    """The KL of the loss, and k3 to be measured; 0 without a reference."""
    if ref_logprobs_BT is None:
        if kl_beta != 0:
            raise ValueError(f"kl_beta is {kl_beta} but there are no reference logprobs; give them or set kl_beta to 0")
        zeros_BT = torch.zeros_like(logprobs_BT)
        return zeros_BT, zeros_BT
    mask = mask_BT.bool()
    inside, ref_inside = torch.where(mask, logprobs_BT, 0.0), torch.where(mask, ref_logprobs_BT.detach(), 0.0)
    measured_BT = k3_kl(inside, ref_inside)
    return (measured_BT if estimate is k3_kl else estimate(inside, ref_inside)), measured_BT


def statistics_of(log_ratio_BT: Tensor, low_BT: Tensor, high_BT: Tensor, kl_BT: Tensor, mask_BT: Tensor) -> RatioStatistics:
    mask = mask_BT.bool()
    log_ratio_BT, kl_BT = log_ratio_BT.detach(), kl_BT.detach()
    ratio_BT = torch.where(mask, log_ratio_BT.exp(), 0.0)
    old_kl_BT = torch.where(mask, torch.expm1(log_ratio_BT) - log_ratio_BT, 0.0)  # k3 with samples of pi_old
    return RatioStatistics(
        tokens=mask.sum(),
        clipped_low=(low_BT & mask).sum(),
        clipped_high=(high_BT & mask).sum(),
        ratio_sum=ratio_BT.sum(),
        ratio_max=ratio_BT.max(),
        old_kl_sum=old_kl_BT.sum(),
        kl_sum=torch.where(mask, kl_BT, 0.0).sum(),
    )
