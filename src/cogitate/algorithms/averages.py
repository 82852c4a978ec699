"""What a policy loss is averaged over: each completion first, all tokens alike, or a constant.

Averages divide by the size of the whole batch (`BatchTotals`), never of the micro-batch at hand: the sum of the micro-batches'
losses is then the loss of the batch, however it is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


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


def _positive(count: int, name: str) -> int:
    if count < 1:
        raise ValueError(f"the batch has {count} {name}: there is nothing to average; skip the step instead")
    return count
