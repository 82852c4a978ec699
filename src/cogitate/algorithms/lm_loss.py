"""Next-token cross entropy: which targets count in packed rows, the mean over them, and multi-token prediction.

The softmax is elsewhere: `model/head.py` gives the log-probabilities of the counted targets without holding all logits.
Losses divide by the number of targets of the whole batch (`total_tokens`), never of the micro-batch at hand: the sum of
the micro-batches' losses is then the loss of the batch, however it is cut.
"""

from __future__ import annotations

import torch
from torch import Tensor


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


def lm_loss(logprobs_N: Tensor, *, total_tokens: int, log_normalisers_N: Tensor | None = None, z_weight: float = 0.0) -> Tensor:
    """Mean negative log-likelihood of the counted targets.

    Args:
        logprobs_N: float (N,), log-probability of each counted target of this micro-batch; N may be 0.
        total_tokens: counted targets of the whole batch of this optimiser step.
        log_normalisers_N: float (N,), log sum exp of the logits at the same positions; needed where z_weight > 0.
        z_weight: adds z_weight * mean (log sum exp)^2, which keeps logits from drifting (PaLM, arXiv:2204.02311,
            section 5, uses 1e-4). DeepSeek-V3 has none.
    """
    if total_tokens < 1:
        raise ValueError(f"the batch has {total_tokens} target tokens: there is nothing to learn; check the loss mask")
    loss = -logprobs_N.sum() / total_tokens
    if z_weight:
        if log_normalisers_N is None:
            raise ValueError(f"z_weight is {z_weight} but there are no log_normalisers; give them or set z_weight to 0")
        loss = loss + z_weight * log_normalisers_N.square().sum() / total_tokens
    return loss
