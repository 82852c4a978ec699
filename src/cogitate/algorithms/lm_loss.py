"""Next-token cross entropy and its companions: targets in packed rows, multi-token prediction, token logprobs and entropy.

Losses divide by the number of targets of the whole batch (`total_tokens`), never of the micro-batch at hand: the sum of
the micro-batches' losses is then the loss of the batch, however it is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def next_token_targets(
    tokens_BT: Tensor, loss_mask_BT: Tensor, documents_BT: Tensor | None = None, *, ahead: int = 1
) -> tuple[Tensor, Tensor]:
    """What each position should predict, and which positions count.

    Args:
        tokens_BT: int (B, T).
        loss_mask_BT: (B, T), 1 for tokens worth predicting (SFT: the assistant's), 0 for prompts and padding.
        documents_BT: int (B, T), which document each token of a packed row belongs to; a prediction never crosses
            documents. None is one document a row.
        ahead: 1 is the next token, 2 the one after it (the first MTP depth).

    Returns:
        targets int (B, T) and mask bool (B, T); the last `ahead` positions are masked and their targets are 0.
    """
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, got {ahead}")
    kept = max(0, tokens_BT.shape[1] - ahead)
    targets_BT = torch.zeros_like(tokens_BT)
    mask_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
    targets_BT[:, :kept] = tokens_BT[:, ahead:]
    mask_BT[:, :kept] = loss_mask_BT[:, ahead:].bool()
    if documents_BT is not None:
        mask_BT[:, :kept] &= documents_BT[:, :kept] == documents_BT[:, ahead:]
    return targets_BT, mask_BT


def lm_loss(logits_BTV: Tensor, targets_BT: Tensor, mask_BT: Tensor, *, total_tokens: int, z_weight: float = 0.0) -> Tensor:
    """Mean negative log-likelihood of the counted targets.

    Args:
        logits_BTV: float (B, T, V).
        targets_BT, mask_BT: from `next_token_targets`.
        total_tokens: counted targets of the whole batch of this optimiser step.
        z_weight: adds z_weight * mean (log sum exp logits)^2, which keeps logits from drifting (PaLM, arXiv:2204.02311,
            section 5, uses 1e-4). 0 leaves it out.
    """
    if total_tokens < 1:
        raise ValueError(f"the batch has {total_tokens} target tokens: there is nothing to learn; check the loss mask")
    mask = mask_BT.bool()
    logits_NV = logits_BTV[mask].float()
    log_normaliser_N = logits_NV.logsumexp(-1)
    target_logits_N = logits_NV.gather(1, targets_BT[mask].long()[:, None])[:, 0]
    losses_N = log_normaliser_N - target_logits_N
    if z_weight:
        losses_N = losses_N + z_weight * log_normaliser_N.square()
    return losses_N.sum() / total_tokens


def mtp_loss(
    logits_by_depth: Sequence[Tensor],
    tokens_BT: Tensor,
    loss_mask_BT: Tensor,
    documents_BT: Tensor | None = None,
    *,
    total_tokens: int,
) -> Tensor:
    """Multi-token prediction: the mean over depths k = 1, 2 ... of the loss of token t + 1 + k, predicted at t.

    DeepSeek-V3 (arXiv:2412.19437), section 2.2, equations 24 and 25, without the weight lambda: the caller multiplies.
    Every depth divides by the same `total_tokens` as the main loss, as the paper divides each by T.

    Args:
        logits_by_depth: one float (B, T, V) per MTP block; position t of depth k predicts token t + 1 + k.
    """
    losses = []
    for depth, logits_BTV in enumerate(logits_by_depth, start=1):
        targets_BT, mask_BT = next_token_targets(tokens_BT, loss_mask_BT, documents_BT, ahead=depth + 1)
        losses.append(lm_loss(logits_BTV, targets_BT, mask_BT, total_tokens=total_tokens))
    return torch.stack(losses).mean()


def token_logprobs(logits_BTV: Tensor, targets_BT: Tensor, *, temperature: float = 1.0) -> Tensor:
    """log pi(target) at each position (B, T), in float32, at the sampling temperature."""
    logits_BTV = logits_BTV.float() / temperature
    flat = functional.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten().long(), reduction="none")
    return -flat.view_as(targets_BT)


def token_entropy(logits_BTV: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Entropy in nats of the distribution at each position (B, T), in float32, without gradient."""
    return torch.special.entr((logits_BTV.detach().float() / temperature).softmax(-1)).sum(-1)
