"""One pre-norm decoder layer: attention, then a dense MLP or a mixture of experts."""

from __future__ import annotations

from torch import Tensor, nn

from cogitate.model.attention import GroupedQueryAttention, TokenContext
from cogitate.model.config import ModelConfig
from cogitate.model.layers import MLP, RMSNorm
from cogitate.model.mla import MultiHeadLatentAttention
from cogitate.model.moe import MixtureOfExperts


class DecoderLayer(nn.Module):
    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = MultiHeadLatentAttention(config, layer) if config.is_mla else GroupedQueryAttention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = (
            MixtureOfExperts(config)
            if config.is_moe_layer(layer)
            else MLP(config.hidden_size, config.intermediate_size, bias=config.mlp_bias)
        )

    def forward(self, x_BTD: Tensor, context: TokenContext) -> Tensor:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), context)
        out_BTD: Tensor = x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))
        return out_BTD
