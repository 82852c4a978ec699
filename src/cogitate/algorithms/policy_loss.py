"""Policy-gradient losses over sampled tokens: GRPO and PPO's clipped surrogate, GSPO, CISPO, REINFORCE, PPO's value loss.

One completion is one row, right-padded; `mask_BT` is 1 for the tokens the loss counts. Values outside the mask are never
read, NaN included. Averages divide by the size of the whole batch (`BatchTotals`), never of the micro-batch at hand:
the sum of the micro-batches' losses is then the loss of the batch, however it is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cogitate.algorithms.kl import KLEstimate, k3_kl


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """What one optimiser step averages over.

    Attributes:
        sequences: rows with at least one counted token.
        tokens: counted tokens.
        max_new_tokens: the length limit of a completion, Dr. GRPO's constant.
    """

    sequences: int
    tokens: int
    max_new_tokens: int

    @classmethod
    def of(cls, mask_BT: Tensor, max_new_tokens: int) -> BatchTotals:
        """Count a whole batch. Leave out rows without a signal (dead groups, no verdict) before: they would dilute the loss."""
        mask = mask_BT.bool()
        return cls(int(mask.any(1).sum()), int(mask.sum()), max_new_tokens)


Average = Callable[[Tensor, Tensor, BatchTotals], Tensor]


def sequence_mean(losses_BT: Tensor, mask_BT: Tensor, totals: BatchTotals) -> Tensor:
    """Mean over each completion's tokens, then over completions (DeepSeekMath, arXiv:2402.03300, equation 3)."""
    mask = mask_BT.bool()
    rows_B = torch.where(mask, losses_BT, 0.0).sum(1) / mask.sum(1).clamp(min=1)
    return rows_B.sum() / _positive(totals.sequences, "sequences")


def token_mean(losses_BT: Tensor, mask_BT: Tensor, totals: BatchTotals) -> Tensor:
    """Mean over all tokens of the batch, so long completions weigh more (DAPO, arXiv:2503.14476, section 3.3)."""
    return torch.where(mask_BT.bool(), losses_BT, 0.0).sum() / _positive(totals.tokens, "tokens")


def dr_grpo_mean(losses_BT: Tensor, mask_BT: Tensor, totals: BatchTotals) -> Tensor:
    """Sum over tokens by a constant, completions x max_new_tokens: no bias towards any length (Dr. GRPO, arXiv:2503.20783)."""
    constant = _positive(totals.sequences, "sequences") * _positive(totals.max_new_tokens, "max_new_tokens")
    return torch.where(mask_BT.bool(), losses_BT, 0.0).sum() / constant


AVERAGES: dict[str, Average] = {"sequence": sequence_mean, "token": token_mean, "dr_grpo": dr_grpo_mean}


@dataclass(frozen=True, slots=True)
class RatioStatistics:
    """Sums over counted tokens; micro-batches add up (`+`) to the exact statistics of the batch.

    Attributes:
        tokens: counted tokens.
        clipped_low, clipped_high: tokens whose gradient the lower or the upper bound removed (CISPO: whose weight it changed).
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

    def metrics(self) -> dict[str, float]:
        """Means over tokens, named as they are logged."""
        tokens = max(1.0, float(self.tokens))
        low, high = float(self.clipped_low) / tokens, float(self.clipped_high) / tokens
        return {
            "clip_share": low + high,
            "clip_share_low": low,
            "clip_share_high": high,
            "ratio_mean": float(self.ratio_sum) / tokens,
            "ratio_max": float(self.ratio_max),
            "old_kl": float(self.old_kl_sum) / tokens,
            "kl": float(self.kl_sum) / tokens,
        }


@dataclass(frozen=True, slots=True)
class PolicyLoss:
    """`loss` is this micro-batch's share of the batch's loss: call backward on it as it is, without any further division."""

    loss: Tensor
    statistics: RatioStatistics


def grpo_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages: Tensor,
    mask_BT: Tensor,
    *,
    clip_eps_low: float,
    clip_eps_high: float,
    average: Average,
    totals: BatchTotals,
    ref_logprobs_BT: Tensor | None = None,
    kl_beta: float = 0.0,
    kl_estimate: KLEstimate = k3_kl,
    importance_weights_BT: Tensor | None = None,
) -> PolicyLoss:
    """The clipped surrogate per token, minus beta times KL to a reference (DeepSeekMath, arXiv:2402.03300, equation 3).

    loss = -average(w min(ratio A, clip(ratio, 1 - eps_low, 1 + eps_high) A) - beta KL), ratio = pi / pi_old of each token.
    R1 (arXiv:2501.12948, equation 1) writes the ratio over the whole output; this is DeepSeekMath's per-token form, which its
    authors' earlier paper and the field implement. With advantages (B, T) from GAE, token_mean and no KL it is PPO's policy
    loss (arXiv:1707.06347, equation 7); eps_high > eps_low is DAPO's clip-higher.

    Args:
        logprobs_BT: float (B, T), with gradient, at the sampling temperature.
        old_logprobs_BT: float (B, T) of the policy as it was when the batch was sampled, by the learner's own forward pass;
            None is `logprobs_BT` itself, right only for the first step on a batch (ratio 1, unchanged gradient).
        advantages: float (B,), one per completion, or (B, T).
        mask_BT: (B, T), 1 for counted tokens.
        clip_eps_low, clip_eps_high: distance of the bounds from 1; R1's 10 leaves the lower bound without effect.
        average: sequence_mean, token_mean or dr_grpo_mean.
        totals: of the whole batch of this optimiser step.
        ref_logprobs_BT: float (B, T); needed where kl_beta > 0, otherwise only measured.
        kl_estimate: of the loss, k3_kl or k2_kl; what is measured is always k3.
        importance_weights_BT: w, from `truncated_importance_weights`; it multiplies the surrogate, not the KL.
    """
    log_ratio_BT = _log_ratio(logprobs_BT, old_logprobs_BT, mask_BT)
    ratio_BT = log_ratio_BT.exp()
    advantages_BT = _per_token(advantages, logprobs_BT)
    losses_BT, low_BT, high_BT = _clipped(ratio_BT, advantages_BT, clip_eps_low, clip_eps_high)
    losses_BT = _weighted(losses_BT, importance_weights_BT, mask_BT)
    kl_BT, measured_BT = _reference_kl(logprobs_BT, ref_logprobs_BT, mask_BT, kl_beta, kl_estimate)
    loss = average(losses_BT + kl_beta * kl_BT, mask_BT, totals)
    return PolicyLoss(loss, _statistics(log_ratio_BT, low_BT, high_BT, measured_BT, mask_BT))


def gspo_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages_B: Tensor,
    mask_BT: Tensor,
    *,
    clip_eps_low: float,
    clip_eps_high: float,
    average: Average = sequence_mean,
    totals: BatchTotals,
    ref_logprobs_BT: Tensor | None = None,
    kl_beta: float = 0.0,
    kl_estimate: KLEstimate = k3_kl,
    importance_weights_BT: Tensor | None = None,
) -> PolicyLoss:
    """GSPO: one ratio per completion, (pi(o) / pi_old(o))^(1/|o|), clipped as a whole (arXiv:2507.18071, equations 5-7).

    The paper's average is sequence_mean. Useful bounds are far narrower than GRPO's: the paper clips at 3e-4 and 4e-4.
    Statistics count every token of a clipped completion; their ratios are the completions'. Arguments as in `grpo_loss`.
    """
    mask = mask_BT.bool()
    token_log_ratio_BT = _log_ratio(logprobs_BT, old_logprobs_BT, mask_BT)
    log_ratio_B1 = token_log_ratio_BT.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    log_ratio_BT = log_ratio_B1.expand_as(logprobs_BT)
    advantages_BT = _per_token(advantages_B, logprobs_BT)
    losses_BT, low_BT, high_BT = _clipped(log_ratio_BT.exp(), advantages_BT, clip_eps_low, clip_eps_high)
    losses_BT = _weighted(losses_BT, importance_weights_BT, mask_BT)
    kl_BT, measured_BT = _reference_kl(logprobs_BT, ref_logprobs_BT, mask_BT, kl_beta, kl_estimate)
    loss = average(losses_BT + kl_beta * kl_BT, mask_BT, totals)
    return PolicyLoss(loss, _statistics(log_ratio_BT, low_BT, high_BT, measured_BT, mask_BT))


def cispo_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages: Tensor,
    mask_BT: Tensor,
    *,
    clip_eps_low: float,
    clip_eps_high: float,
    average: Average,
    totals: BatchTotals,
    ref_logprobs_BT: Tensor | None = None,
    kl_beta: float = 0.0,
    kl_estimate: KLEstimate = k3_kl,
    importance_weights_BT: Tensor | None = None,
) -> PolicyLoss:
    """CISPO: REINFORCE whose importance weight is clipped and held constant (MiniMax-M1, arXiv:2506.13585, equations 4-5).

    loss = -average(stop_gradient(clip(ratio, 1 - eps_low, 1 + eps_high)) A log pi): no token loses its gradient. The paper
    averages with token_mean and leaves the lower bound open (clip_eps_low = 1 does that). Arguments as in `grpo_loss`.
    """
    log_ratio_BT = _log_ratio(logprobs_BT, old_logprobs_BT, mask_BT)
    ratio_BT = log_ratio_BT.detach().exp()
    weight_BT = ratio_BT.clamp(1.0 - clip_eps_low, 1.0 + clip_eps_high)
    inside_BT = torch.where(mask_BT.bool(), logprobs_BT, 0.0)
    losses_BT = -weight_BT * _per_token(advantages, logprobs_BT) * inside_BT
    losses_BT = _weighted(losses_BT, importance_weights_BT, mask_BT)
    kl_BT, measured_BT = _reference_kl(logprobs_BT, ref_logprobs_BT, mask_BT, kl_beta, kl_estimate)
    loss = average(losses_BT + kl_beta * kl_BT, mask_BT, totals)
    low_BT, high_BT = ratio_BT < 1.0 - clip_eps_low, ratio_BT > 1.0 + clip_eps_high
    return PolicyLoss(loss, _statistics(log_ratio_BT, low_BT, high_BT, measured_BT, mask_BT))


def reinforce_loss(
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
) -> PolicyLoss:
    """REINFORCE: loss = -average(w A log pi), without ratio or clipping (RLOO, arXiv:2402.14740, equation 6).

    `dr_grpo_mean` adds up the tokens of a completion as the paper does, up to a constant. The loss takes the batch for a sample
    of the current policy, which is true of the first optimiser step on it; `old_logprobs_BT` is only measured.
    Arguments as in `grpo_loss`.
    """
    log_ratio_BT = _log_ratio(logprobs_BT, old_logprobs_BT, mask_BT)
    inside_BT = torch.where(mask_BT.bool(), logprobs_BT, 0.0)
    losses_BT = _weighted(-_per_token(advantages, logprobs_BT) * inside_BT, importance_weights_BT, mask_BT)
    kl_BT, measured_BT = _reference_kl(logprobs_BT, ref_logprobs_BT, mask_BT, kl_beta, kl_estimate)
    loss = average(losses_BT + kl_beta * kl_BT, mask_BT, totals)
    none_BT = torch.zeros_like(mask_BT, dtype=torch.bool)
    return PolicyLoss(loss, _statistics(log_ratio_BT, none_BT, none_BT, measured_BT, mask_BT))


LOSSES: dict[str, Callable[..., PolicyLoss]] = {
    "clipped": grpo_loss, "gspo": gspo_loss, "cispo": cispo_loss, "reinforce": reinforce_loss,
}  # fmt: skip


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


def _log_ratio(logprobs_BT: Tensor, old_logprobs_BT: Tensor | None, mask_BT: Tensor) -> Tensor:
    """log(pi / pi_old), 0 outside the mask."""
    old_BT = logprobs_BT.detach() if old_logprobs_BT is None else old_logprobs_BT.detach()
    return torch.where(mask_BT.bool(), logprobs_BT - old_BT, 0.0)


def _per_token(advantages: Tensor, logprobs_BT: Tensor) -> Tensor:
    advantages = advantages.detach()
    per_token = advantages[:, None] if advantages.dim() == 1 else advantages
    if per_token.shape not in ((logprobs_BT.shape[0], 1), logprobs_BT.shape):
        raise ValueError(f"advantages have shape {tuple(advantages.shape)}, want (B,) or (B, T) of {tuple(logprobs_BT.shape)}")
    return per_token


def _clipped(ratio_BT: Tensor, advantages_BT: Tensor, eps_low: float, eps_high: float) -> tuple[Tensor, Tensor, Tensor]:
    """-min(ratio A, clip(ratio) A), and where the lower and the upper bound took effect."""
    clipped_BT = ratio_BT.clamp(1.0 - eps_low, 1.0 + eps_high)
    losses_BT = -torch.minimum(ratio_BT * advantages_BT, clipped_BT * advantages_BT)
    low_BT = (ratio_BT < 1.0 - eps_low) & (advantages_BT < 0)
    high_BT = (ratio_BT > 1.0 + eps_high) & (advantages_BT > 0)
    return losses_BT, low_BT, high_BT


def _weighted(losses_BT: Tensor, weights_BT: Tensor | None, mask_BT: Tensor) -> Tensor:
    if weights_BT is None:
        return losses_BT
    return losses_BT * torch.where(mask_BT.bool(), weights_BT.detach(), 0.0)


def _reference_kl(
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


def _statistics(log_ratio_BT: Tensor, low_BT: Tensor, high_BT: Tensor, kl_BT: Tensor, mask_BT: Tensor) -> RatioStatistics:
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


def _positive(count: int, name: str) -> int:
    if count < 1:
        raise ValueError(f"the batch has {count} {name}: there is nothing to average; skip the step instead")
    return count
