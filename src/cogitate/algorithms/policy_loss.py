"""Policy-gradient losses over sampled tokens: GRPO and PPO's clipped surrogate, GSPO, CISPO, REINFORCE; the table of all.

One completion is one row, right-padded; `mask_BT` is 1 for the tokens the loss counts. Values outside the mask are never
read, NaN included. The sum of the micro-batches' losses is the loss of the batch, however it is cut (see averages.py).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cogitate.algorithms.covariance_loss import clip_cov_loss, kl_cov_loss
from cogitate.algorithms.loss_parts import PolicyLoss, Surrogate, clipped_surrogate, log_ratio_of, per_token, policy_loss
from cogitate.algorithms.squared_loss import dro_loss, mirror_descent_loss


@policy_loss
def grpo_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages: Tensor,
    mask_BT: Tensor,
    *,
    clip_eps_low: float,
    clip_eps_high: float,
) -> Surrogate:
    """The clipped surrogate per token, minus beta times KL to a reference (DeepSeekMath, arXiv:2402.03300, equation 3).

    loss = -average(w min(ratio A, clip(ratio, 1 - eps_low, 1 + eps_high) A) - beta KL), ratio = pi / pi_old of each token.
    R1 (arXiv:2501.12948, equation 1) writes the ratio over the whole output; this is DeepSeekMath's per-token form, which its
    authors' earlier paper and the field implement. With advantages (B, T) from GAE, token_mean and no KL it is PPO's policy
    loss (arXiv:1707.06347, equation 7); eps_high > eps_low is DAPO's clip-higher.

    Args:
        clip_eps_low, clip_eps_high: distance of the bounds from 1; R1's 10 leaves the lower bound without effect.
    """
    log_ratio_BT = log_ratio_of(logprobs_BT, old_logprobs_BT, mask_BT)
    ratio_BT = log_ratio_BT.exp()
    advantages_BT = per_token(advantages, logprobs_BT)
    losses_BT, low_BT, high_BT = clipped_surrogate(ratio_BT, advantages_BT, clip_eps_low, clip_eps_high)
    return Surrogate(losses_BT, log_ratio_BT, low_BT, high_BT)


@policy_loss
def gspo_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages_B: Tensor,
    mask_BT: Tensor,
    *,
    clip_eps_low: float,
    clip_eps_high: float,
) -> Surrogate:
    """GSPO: one ratio per completion, (pi(o) / pi_old(o))^(1/|o|), clipped as a whole (arXiv:2507.18071, equations 5-7).

    The paper's average is sequence_mean. Useful bounds are far narrower than GRPO's: the paper clips at 3e-4 and 4e-4.
    Statistics count every token of a clipped completion; their ratios are the completions'. Bounds as in `grpo_loss`.
    """
    mask = mask_BT.bool()
    token_log_ratio_BT = log_ratio_of(logprobs_BT, old_logprobs_BT, mask_BT)
    log_ratio_B1 = token_log_ratio_BT.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    log_ratio_BT = log_ratio_B1.expand_as(logprobs_BT)
    advantages_BT = per_token(advantages_B, logprobs_BT)
    losses_BT, low_BT, high_BT = clipped_surrogate(log_ratio_BT.exp(), advantages_BT, clip_eps_low, clip_eps_high)
    return Surrogate(losses_BT, log_ratio_BT, low_BT, high_BT)


@policy_loss
def cispo_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages: Tensor,
    mask_BT: Tensor,
    *,
    clip_eps_low: float,
    clip_eps_high: float,
) -> Surrogate:
    """CISPO: REINFORCE whose importance weight is clipped and held constant (MiniMax-M1, arXiv:2506.13585, equations 4-5).

    loss = -average(stop_gradient(clip(ratio, 1 - eps_low, 1 + eps_high)) A log pi): no token loses its gradient. The paper
    averages with token_mean and leaves the lower bound open (clip_eps_low = 1 does that). Bounds as in `grpo_loss`.
    """
    log_ratio_BT = log_ratio_of(logprobs_BT, old_logprobs_BT, mask_BT)
    ratio_BT = log_ratio_BT.detach().exp()
    weight_BT = ratio_BT.clamp(1.0 - clip_eps_low, 1.0 + clip_eps_high)
    inside_BT = torch.where(mask_BT.bool(), logprobs_BT, 0.0)
    losses_BT = -weight_BT * per_token(advantages, logprobs_BT) * inside_BT
    low_BT, high_BT = ratio_BT < 1.0 - clip_eps_low, ratio_BT > 1.0 + clip_eps_high
    return Surrogate(losses_BT, log_ratio_BT, low_BT, high_BT)


@policy_loss
def reinforce_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages: Tensor,
    mask_BT: Tensor,
) -> Surrogate:
    """REINFORCE: loss = -average(w A log pi), without ratio or clipping (RLOO, arXiv:2402.14740, equation 6).

    `dr_grpo_mean` adds up the tokens of a completion as the paper does, up to a constant. The loss takes the batch for a sample
    of the current policy, which is true of the first optimiser step on it; `old_logprobs_BT` is only measured.
    """
    log_ratio_BT = log_ratio_of(logprobs_BT, old_logprobs_BT, mask_BT)
    inside_BT = torch.where(mask_BT.bool(), logprobs_BT, 0.0)
    losses_BT = -per_token(advantages, logprobs_BT) * inside_BT
    return Surrogate(losses_BT, log_ratio_BT)


LOSSES: dict[str, Callable[..., PolicyLoss]] = {
    "clipped": grpo_loss, "gspo": gspo_loss, "cispo": cispo_loss, "reinforce": reinforce_loss, "kl_cov": kl_cov_loss,
    "clip_cov": clip_cov_loss, "dro": dro_loss, "mirror_descent": mirror_descent_loss,
}  # fmt: skip
