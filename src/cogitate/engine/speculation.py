"""Self-speculative decoding: the MTP block drafts each completion's next token (DeepSeek-V3, arXiv:2412.19437, sections 2.2
and 5.4.3), and the model reads it together with the last one, so that a right draft saves a step.

Speculative sampling (arXiv:2211.17192) keeps a draft with probability p / q and otherwise draws from what p has more than q.
Here the model's own token is drawn as without drafts, from the same number for the same seed and position (sampling.py), and a
draft is kept where it is that token. The tokens and their log-probabilities so are those without drafts, whatever was drafted.
The draft comes from the same number, too: of two alike distributions the same number mostly draws the same token.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cogitate.engine.decode import Decoder
from cogitate.engine.decode_plain import PlainDecoder
from cogitate.engine.running import Running
from cogitate.errors import ConfigError
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer


class Speculation:
    """What is kept for drafting, by rows of the cache.

    Attributes:
        cache: of the MTP block. It lacks a row's last token until the next draft.
        drafted, right: drafts since the engine was made, and those that were the sampled token.
    """

    def __init__(self, model: Transformer, rows: int, max_context: int, dtype: torch.dtype, cache_bits: int = 0):
        """
        Args:
            dtype, cache_bits: of what is cached, as of the model's own cache.

        Raises:
            ConfigError: the model has no MTP block.
        """
        if model.mtp is None:
            raise ConfigError(
                f"speculative decoding drafts by an MTP block, and this {model.config.model_type} model has none "
                "(num_nextn_predict_layers = 0): set runtime.speculative = false"
            )
        device = model.embed_tokens.weight.device
        self.cache = KVCache(model.config, rows, max_context, dtype=dtype, device=device, mtp=True, bits=cache_bits)
        self.drafted = self.right = 0
        # The one or two last positions of each row: hidden states, how many, and the draft that became the first's token.
        self._hidden_R2D = torch.zeros(rows, 2, model.config.hidden_size, dtype=torch.float32, device=device)
        self._counts_R = np.ones(rows, dtype=np.int64)
        self._drafts_R = np.zeros(rows, dtype=np.int64)

    @property
    def acceptance_rate(self) -> float:
        """Share of drafts that were right; NaN before the first."""
        return self.right / self.drafted if self.drafted else float("nan")

    def start(self, prompt_row: int, rows: Sequence[int], hidden_D: Tensor) -> None:
        """These rows go on from a prefilled prompt.

        Args:
            hidden_D: the hidden state at its end.
        """
        self.cache.fork(prompt_row, rows)
        self._hidden_R2D[rows, 0] = hidden_D.float()
        self._counts_R[rows] = 1

    def draft(self, decoder: Decoder | PlainDecoder, running: Running, units: np.ndarray) -> np.ndarray:
        """A guess at the next token of each running completion, int64 (N,)."""
        rows = running.rows
        counts_N, tokens_N2 = self.to_read(rows, running.last_tokens)
        hidden_N2D = self.hidden_of(torch.from_numpy(rows))
        logits_NV = decoder.draft(hidden_N2D, tokens_N2, counts_N, self.cache, rows, units)
        drafts_N: np.ndarray = running.sample(slice(None), logits_NV[:, None])[0][:, 0]
        self.note_drafts(rows, drafts_N)
        return drafts_N

    def to_read(self, rows: np.ndarray, last_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many tokens the MTP block has to read before it drafts, int64 (N,), and these, int64 (N, 2): where it is one, the
        second is rubbish.

        Args:
            last_N: the last token of each row.
        """
        counts_N = self._counts_R[rows]
        return counts_N, np.stack((np.where(counts_N == 2, self._drafts_R[rows], last_N), last_N), axis=1)

    def hidden_of(self, rows_N: Tensor) -> Tensor:
        """The hidden states that go with `to_read`, float32 (N, 2, D)."""
        return self._hidden_R2D[rows_N]

    def note_drafts(self, rows: np.ndarray, drafts_N: np.ndarray) -> None:
        """What has been drafted for rows."""
        self._drafts_R[rows] = drafts_N

    def hidden_before(self, row: int) -> Tensor:
        """The hidden state that the first token after a prompt is sampled from."""
        return self._hidden_R2D[row, 0].clone()

    def take_back(self, row: int, length: int, hidden_D: Tensor) -> None:
        """A row of the model's cache holds no more than `length` tokens.

        Args:
            hidden_D: the hidden state after the last of them.
        """
        self.cache.lengths[row] = length - 1
        self._hidden_R2D[row, 0] = hidden_D.float()
        self._counts_R[row] = 1

    def note(self, rows: np.ndarray, right_N: np.ndarray, hidden_N2D: Tensor, rows_N: Tensor) -> None:
        """Which drafts were right, and the hidden states of the tokens before them and of themselves.

        Args:
            rows_N: the rows once more, as an index of hidden states.
        """
        self._hidden_R2D[rows_N] = hidden_N2D.float()
        self._counts_R[rows] = 1 + right_N
        self.drafted += len(right_N)
        self.right += int(right_N.sum())
