"""A decoder with one number at each token instead of a vocabulary: reward models (read at the last token) and critics."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cogitate.model.transformer import Transformer


class ValueModel(nn.Module):
    """A trunk and a linear head on its hidden states. The head starts as zeros: every text is worth 0 until it has learnt.

    The trunk's MTP block is dropped; its own head stays as it is and is not used.
    """

    def __init__(self, trunk: Transformer):
        super().__init__()
        trunk.mtp = None
        trunk.config = trunk.config.model_copy(update={"num_nextn_predict_layers": 0})
        self.trunk = trunk
        weight = trunk.embed_tokens.weight
        self.score = nn.Linear(weight.shape[1], 1, device=weight.device, dtype=weight.dtype)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    @torch.no_grad()
    def draw_head(self, seed: int) -> None:
        """Start from a head of normal numbers, whose values have a deviation of about 1: members of an ensemble differ so."""
        generator = torch.Generator().manual_seed(seed)
        width = self.score.weight.shape[1]
        self.score.weight.copy_(torch.randn(1, width, generator=generator) / (width + 1) ** 0.5)

    def forward(self, tokens_BT: Tensor, **places: Any) -> Tensor:
        """The value at each token, float32 (B, T); `places` as in Transformer.forward."""
        return self.values(self.trunk(tokens_BT, **places))

    def values(self, hidden: Tensor) -> Tensor:
        """(..., D) hidden states of the trunk -> (...) float32."""
        values: Tensor = self.score(hidden).squeeze(-1)
        return values.float()

    @torch.no_grad()
    def rescale(self, mean: float, deviation: float) -> None:
        """Make the value (value - mean) / deviation, in place."""
        self.score.weight.div_(deviation)
        self.score.bias.sub_(mean).div_(deviation)
