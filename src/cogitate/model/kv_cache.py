"""What decoding remembers of earlier tokens.

An MLA model keeps its latent alone: kv_lora_rank + qk_rope_head_dim numbers for each token and layer (DeepSeek-V2,
arXiv:2405.04434, section 2.1). A GQA model keeps keys and values of its key/value heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cogitate.model.config import ModelConfig


def cache_width(config: ModelConfig) -> int:
    """Numbers kept for each token and layer."""
    if config.is_mla:
        return config.kv_lora_rank + config.qk_rope_head_dim
    return 2 * config.kv_heads * config.head_width


class KVCache:
    """A fixed number of rows, each a sequence of at most max_tokens tokens.

    Attributes:
        lengths: int64 (rows,), tokens held by each row. After prefilling right-padded prompts set it to their true lengths:
            what lies beyond is never read and is overwritten.
        layers: one (rows, max_tokens, width) tensor for each layer.
    """

    def __init__(self, config: ModelConfig, rows: int, max_tokens: int, *, dtype: torch.dtype, device: torch.device | str):
        self.max_tokens = max_tokens
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        shape = (rows, max_tokens, cache_width(config))
        self.layers = [torch.zeros(shape, dtype=dtype, device=device) for _ in range(config.num_hidden_layers)]

    def write(self, layer: int, rows_B: Tensor, start_B: Tensor, entries_BTW: Tensor) -> None:
        """Put the entries of T new tokens of each row at start_B, start_B + 1, ..."""
        tokens = entries_BTW.shape[1]
        positions_BT = start_B[:, None] + torch.arange(tokens, device=start_B.device)
        self.layers[layer][rows_B[:, None], positions_BT] = entries_BTW.to(self.layers[layer].dtype)

    def read(self, layer: int, rows_B: Tensor, tokens: int) -> Tensor:
        """The first `tokens` entries of the rows: (B, tokens, width). Beyond a row's length they are rubbish to be masked."""
        return self.layers[layer][:, :tokens].index_select(0, rows_B)

    def fork(self, source_row: int, target_rows: Sequence[int]) -> None:
        """Copy what a row holds to other rows: a prompt that several completions share is prefilled once."""
        targets = list(target_rows)
        length = int(self.lengths[source_row])
        for entries in self.layers:
            entries[targets, :length] = entries[source_row, :length]
        self.lengths[targets] = length

    def free(self, rows: Sequence[int]) -> None:
        """Forget what these rows hold."""
        self.lengths[list(rows)] = 0
