"""Policy losses that keep the policy near the one that sampled by a square of log-ratios, without clipping: DRO per token, and
Kimi k1.5's online mirror descent over whole completions. The squares of tokens are not the square of their sum.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cogitate.algorithms.loss_parts import Surrogate, log_ratio_of, per_token, policy_loss


@policy_loss
def dro_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages: Tensor,
    mask_BT: Tensor,
    *,
    log_ratio_penalty: float,
) -> Surrogate:
    """DRO per token: loss = -average(A log pi - penalty / 2 (log pi / pi_old)^2).

    Direct reward optimisation (arXiv:2405.19107) has the square over a whole completion, a learned value as baseline and a
    fixed reference; this is the form in which the field uses it online, each token for itself (the loss "dro" of Tinker).

    Args:
        log_ratio_penalty: beta of the square.
    """
    log_ratio_BT = log_ratio_of(logprobs_BT, old_logprobs_BT, mask_BT)
    inside_BT = torch.where(mask_BT.bool(), logprobs_BT, 0.0)
    surrogate_BT = -per_token(advantages, logprobs_BT) * inside_BT + 0.5 * log_ratio_penalty * log_ratio_BT.square()
    return Surrogate(surrogate_BT, log_ratio_BT)


@policy_loss
def mirror_descent_loss(
    logprobs_BT: Tensor,
    old_logprobs_BT: Tensor | None,
    advantages: Tensor,
    mask_BT: Tensor,
    *,
    log_ratio_penalty: float,
) -> Surrogate:
    """Online mirror descent: loss = -mean over completions(A log pi(y) - tau / 2 (log pi(y) / pi_old(y))^2), log pi(y) summed
    over the completion's tokens (Kimi k1.5, arXiv:2501.12599, section 2.3.2, whose equation 3 is the gradient).

    pi_old is the policy at the start of the iteration, A = reward - mean of the group. Each token carries an equal share of
    its completion's square, so that `dr_grpo_mean` is the paper's mean up to a constant.

    Args:
        log_ratio_penalty: the paper's tau, which it does not publish.
    """
    mask = mask_BT.bool()
    log_ratio_BT = log_ratio_of(logprobs_BT, old_logprobs_BT, mask_BT)
    inside_BT = torch.where(mask, logprobs_BT, 0.0)
    squares_B1 = log_ratio_BT.sum(1, keepdim=True).square() / mask.sum(1, keepdim=True).clamp(min=1)
    surrogate_BT = -per_token(advantages, logprobs_BT) * inside_BT + 0.5 * log_ratio_penalty * squares_B1
    return Surrogate(surrogate_BT, log_ratio_BT)
