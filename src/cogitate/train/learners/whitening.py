"""Advantages of all micro-batches of a rollout batch, normalised together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from cogitate.algorithms.advantages import whiten
from cogitate.train.sharded.ranks import ALONE, Ranks


def whitened_together(advantages: Sequence[Tensor], masks: Sequence[Tensor], ranks: Ranks = ALONE) -> list[Tensor]:
    """The advantages (S, L) of all micro-batches, brought to mean 0 and deviation 1 over all their tokens and those of
    other ranks."""
    longest = max(mask.shape[1] for mask in masks)

    def stacked(tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat([functional.pad(tensor, (0, longest - tensor.shape[1])) for tensor in tensors])

    (all_SL, mine), (masks_SL, _) = ranks.gathered(stacked(advantages)), ranks.gathered(stacked(masks))
    parts = whiten(all_SL, masks_SL)[mine].split([len(each) for each in advantages])
    return [part[:, : each.shape[1]] for part, each in zip(parts, advantages, strict=True)]
