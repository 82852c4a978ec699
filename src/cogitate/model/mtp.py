"""Multi-token prediction (DeepSeek-V3, arXiv:2412.19437, section 2.2): one more block predicts the token after next.

It sees the main model's final hidden state of position t, after the final norm (as the released model's serving code passes
it), and the embedding of token t + 1; embedding and head are shared with the main model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cogitate.model.attention import TokenContext
from cogitate.model.block import DecoderLayer
from cogitate.model.config import ModelConfig
from cogitate.model.layers import RMSNorm


class MultiTokenPrediction(nn.Module):
    def __init__(self, config: ModelConfig):
        super().__init__()
        self.enorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.hnorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.eh_proj = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.block = DecoderLayer(config, config.num_hidden_layers)
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, hidden_BTD: Tensor, next_embedding_BTD: Tensor, context: TokenContext) -> Tensor:
        joined = torch.cat((self.enorm(next_embedding_BTD), self.hnorm(hidden_BTD)), dim=-1)
        ahead_BTD: Tensor = self.norm(self.block(self.eh_proj(joined), context))
        return ahead_BTD
