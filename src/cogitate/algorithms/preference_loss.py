"""Losses over preferences: reward models (Bradley-Terry pairs, pointwise safety) and DPO with its conservative form and IPO.

Losses divide by the number of pairs (or items) of the whole batch, never of the micro-batch at hand: the sum of the
micro-batches' losses is then the loss of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


def bradley_terry_loss(
    chosen_rewards_B: Tensor,
    rejected_rewards_B: Tensor,
    *,
    total_pairs: float,
    margins_B: Tensor | None = None,
    weights_B: Tensor | None = None,
    center_weight: float = 0.0,
) -> Tensor:
    """-log sigmoid(r_chosen - r_rejected): the helpfulness reward model (InstructGPT, arXiv:2203.02155, equation 1).

    Args:
        chosen_rewards_B, rejected_rewards_B: float (B,), the model's scalars.
        total_pairs: pairs of the whole batch; the sum of their weights where there are weights.
        margins_B: how much better chosen should be at least (Llama 2, arXiv:2307.09288, equation 2).
        weights_B: InstructGPT's 1 / C(K, 2) for each of the pairs made of one prompt's K ranked completions, so that a
            prompt counts once however many pairs it gives.
        center_weight: adds center_weight * (r_chosen + r_rejected)^2, which fixes the level that pairs leave open
            (arXiv:2312.09244).
    """
    gaps_B = chosen_rewards_B - rejected_rewards_B
    if margins_B is not None:
        gaps_B = gaps_B - margins_B
    losses_B = -functional.logsigmoid(gaps_B)
    if center_weight:
        losses_B = losses_B + center_weight * (chosen_rewards_B + rejected_rewards_B).square()
    if weights_B is not None:
        losses_B = losses_B * weights_B
    return losses_B.sum() / _positive(total_pairs)


def safety_loss(scores_B: Tensor, safe_B: Tensor, *, total_items: int) -> Tensor:
    """Pointwise binary cross entropy: sigmoid(score) is the probability of "safe" (R1, arXiv:2501.12948, safety reward model).

    Args:
        scores_B: float (B,), the model's scalars before the sigmoid.
        safe_B: (B,), 1 for safe, 0 for unsafe.
    """
    losses_B = functional.binary_cross_entropy_with_logits(scores_B, safe_B.to(scores_B.dtype), reduction="none")
    return losses_B.sum() / _positive(total_items)


def step_loss(scores_N: Tensor, labels_N: Tensor, weights_N: Tensor, *, total_items: int) -> Tensor:
    """Cross entropy at the ends of steps: sigmoid(score) is the probability that a step is right (Math-Shepherd,
    arXiv:2312.08935; a soft label is the share of continuations that came to the right answer).

    Args:
        scores_N: float (N,), the model's scalars before the sigmoid, at the ends of all steps of all completions.
        labels_N: (N,), 0..1.
        weights_N: (N,), of each step: 1 / steps of its completion, so that a completion counts once however long it is.
        total_items: completions of the whole batch.
    """
    losses_N = functional.binary_cross_entropy_with_logits(scores_N, labels_N.to(scores_N.dtype), reduction="none")
    return (losses_N * weights_N).sum() / _positive(total_items)


@dataclass(frozen=True, slots=True)
class PreferenceLoss:
    """`loss` is this micro-batch's share. The implicit rewards beta log(pi / pi_ref) are for logging, without gradient."""

    loss: Tensor
    chosen_rewards_B: Tensor
    rejected_rewards_B: Tensor


def dpo_loss(
    chosen_logprobs_B: Tensor,
    rejected_logprobs_B: Tensor,
    ref_chosen_logprobs_B: Tensor,
    ref_rejected_logprobs_B: Tensor,
    *,
    beta: float,
    total_pairs: int,
) -> PreferenceLoss:
    """-log sigmoid(beta h), h = log(pi / pi_ref) of chosen minus that of rejected (DPO, arXiv:2305.18290, equation 7).

    Args:
        chosen_logprobs_B ...: float (B,), summed over the completion's tokens.
        beta: the strength of the implied KL to the reference; 0.1 is usual.
    """
    chosen_B = beta * (chosen_logprobs_B - ref_chosen_logprobs_B.detach())
    rejected_B = beta * (rejected_logprobs_B - ref_rejected_logprobs_B.detach())
    loss = -functional.logsigmoid(chosen_B - rejected_B).sum() / _positive(total_pairs)
    return PreferenceLoss(loss, chosen_B.detach(), rejected_B.detach())


def conservative_dpo_loss(
    chosen_logprobs_B: Tensor,
    rejected_logprobs_B: Tensor,
    ref_chosen_logprobs_B: Tensor,
    ref_rejected_logprobs_B: Tensor,
    *,
    beta: float,
    label_smoothing: float,
    total_pairs: int,
) -> PreferenceLoss:
    """DPO where each label is taken to be flipped with probability `label_smoothing` < 1/2 (cDPO: E. Mitchell, 2023).

    -(1 - s) log sigmoid(beta h) - s log sigmoid(-beta h): stops pushing at sigmoid(beta h) = 1 - s. Arguments as in `dpo_loss`.
    """
    if not 0.0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing is a flip probability in [0, 0.5), got {label_smoothing}")
    chosen_B = beta * (chosen_logprobs_B - ref_chosen_logprobs_B.detach())
    rejected_B = beta * (rejected_logprobs_B - ref_rejected_logprobs_B.detach())
    kept_B = functional.logsigmoid(chosen_B - rejected_B)
    flipped_B = functional.logsigmoid(rejected_B - chosen_B)
    losses_B = -(1.0 - label_smoothing) * kept_B - label_smoothing * flipped_B
    return PreferenceLoss(losses_B.sum() / _positive(total_pairs), chosen_B.detach(), rejected_B.detach())


def ipo_loss(
    chosen_logprobs_B: Tensor,
    rejected_logprobs_B: Tensor,
    ref_chosen_logprobs_B: Tensor,
    ref_rejected_logprobs_B: Tensor,
    *,
    beta: float,
    total_pairs: int,
) -> PreferenceLoss:
    """(h - 1 / (2 beta))^2: a margin to reach, not to exceed (IPO, arXiv:2310.12036, equation 17; beta is its tau).

    Give it logprobs averaged per token (`sequence_logprobs(..., per_token=True)`): with sums the target would depend on length.
    """
    chosen_B = chosen_logprobs_B - ref_chosen_logprobs_B.detach()
    rejected_B = rejected_logprobs_B - ref_rejected_logprobs_B.detach()
    loss = (chosen_B - rejected_B - 1.0 / (2.0 * beta)).square().sum() / _positive(total_pairs)
    return PreferenceLoss(loss, beta * chosen_B.detach(), beta * rejected_B.detach())


def _positive(total: float) -> float:
    if total <= 0:
        raise ValueError(f"the batch has {total} pairs or items: there is nothing to average")
    return total
