"""The forward pass of generation by `Transformer.forward`: on any device, and where there is no compiler for the kernels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from cogitate.device import send
from cogitate.engine.bits.groups import STORED, check_bits
from cogitate.engine.decode import Decoder
from cogitate.errors import ConfigError
from cogitate.model.files.hf import allocated, load_weights_into
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer


def make_decoder(
    model: Transformer,
    max_batch: int,
    *,
    mtp: bool = False,
    drafts: int = 0,
    bits: int = 0,
    activation_bits: int = 0,
    cache_bits: int = 0,
    dtype: torch.dtype | None = None,
) -> Decoder | PlainDecoder:
    """The fastest there is for this model and machine.

    Raises:
        ConfigError: fewer bits are asked for where there are no kernels, or fewer of activations alone.
    """
    native = Decoder.supports(model)
    check_bits("weight_bits", bits, STORED, native=native)
    check_bits("activation_bits", activation_bits, (8,), native=native)
    check_bits("cache_bits", cache_bits, (8,), native=native)
    if activation_bits and not bits:
        raise ConfigError(f"activation_bits = {activation_bits} needs weights of fewer bits: set weight_bits = 8 or 4")
    if not native:
        return PlainDecoder(model)
    return Decoder(
        model, max_batch, mtp=mtp, drafts=drafts, bits=bits, activation_bits=activation_bits, cache_bits=cache_bits, dtype=dtype
    )


class PlainDecoder:
    """decode.Decoder in PyTorch, with the model itself. Logits and hidden states are on its device, in its dtype.

    Attributes:
        stays: memory of weights that are freed is kept for the next ones: somebody knows its address.
    """

    def __init__(self, model: Transformer):
        self.model, self.stays = model, False
        self.device = model.embed_tokens.weight.device
        self._freed = model.embed_tokens.weight.is_meta

    def free(self) -> None:
        self._freed = True
        if not self.stays:
            self.model.to(device="meta")

    def load(self, directory: Path) -> None:
        if self.model.embed_tokens.weight.is_meta:
            allocated(self.model, self.device)
        load_weights_into(self.model, directory)
        self._freed = False

    def logits(self, tokens_N: np.ndarray, cache: KVCache, rows: np.ndarray, units: np.ndarray) -> Tensor:
        return self.verify(tokens_N[:, None], cache, rows, units)[0][:, 0]

    def verify(self, tokens_NT: np.ndarray, cache: KVCache, rows: np.ndarray, units: np.ndarray) -> tuple[Tensor, Tensor]:
        self.check()
        hidden_NTD = self.model(self._on_device(tokens_NT), cache=cache, rows_B=torch.from_numpy(rows))
        return self.model.logits(hidden_NTD), hidden_NTD

    def read_on(
        self, tokens_X: np.ndarray, counts_N: np.ndarray, cache: KVCache, rows: np.ndarray, units: np.ndarray
    ) -> Tensor:
        """Rows that read equally many tokens are read together: what one row has room for another may not."""
        self.check()
        first_N = np.cumsum(counts_N) - counts_N
        logits_XV = torch.empty(len(tokens_X), self.model.config.vocab_size, device=self.device)
        for count in np.unique(counts_N).tolist():
            some = np.flatnonzero(counts_N == count)
            places = first_N[some][:, None] + np.arange(count)
            hidden = self.model(self._on_device(tokens_X[places]), cache=cache, rows_B=torch.from_numpy(rows[some]))
            logits_XV[self._on_device(places)] = self.model.logits(hidden).float()
        return logits_XV

    def draft(
        self,
        hidden_N2D: Tensor,
        tokens_N2: np.ndarray,
        counts_N: np.ndarray,
        mtp_cache: KVCache,
        rows: np.ndarray,
        units: np.ndarray,
    ) -> Tensor:
        hidden_N2D = hidden_N2D.to(self.model.embed_tokens.weight.dtype)  # kept in float32, which holds it exactly
        ahead_N2D = self.model.mtp_cached(hidden_N2D, self._on_device(tokens_N2), mtp_cache, torch.from_numpy(rows))
        mtp_cache.lengths.numpy()[rows] -= tokens_N2.shape[1] - counts_N
        return self.model.logits(ahead_N2D[torch.arange(len(rows)), torch.from_numpy(counts_N - 1)])

    def prefill(
        self,
        prompts: Sequence[Sequence[int]],
        cache: KVCache,
        rows: Sequence[int],
        mtp_cache: KVCache | None = None,
        before_PD: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        self.check()
        if len(rows) > 1 and cache.lengths[list(rows)].any():  # right-padded, what one row has room for another has not
            each = [
                self.prefill([prompt], cache, [row], mtp_cache, None if before_PD is None else before_PD[index : index + 1])
                for index, (prompt, row) in enumerate(zip(prompts, rows, strict=True))
            ]
            hidden = [hidden_1D for _, hidden_1D in each if hidden_1D is not None]
            return torch.cat([logits_1V for logits_1V, _ in each]), torch.cat(hidden) if hidden else None
        lengths, rows_P = torch.tensor([len(prompt) for prompt in prompts]), torch.tensor(rows)
        tokens_PT = self._on_device(pad_sequence([torch.tensor(prompt) for prompt in prompts], batch_first=True).numpy())
        held = cache.lengths[rows_P]
        hidden_PTD = self.model(tokens_PT, cache=cache, rows_B=rows_P)
        cache.truncate(rows, (held + lengths).tolist())
        ends_PD = hidden_PTD[torch.arange(len(rows)), lengths - 1]
        ahead_PTD, next_PT = hidden_PTD[:, :-1], tokens_PT[:, 1:]
        if before_PD is not None:
            ahead_PTD, next_PT = torch.cat((before_PD[:, None].to(hidden_PTD), ahead_PTD), dim=1), tokens_PT
        if mtp_cache is not None and next_PT.shape[1]:
            self.model.mtp_cached(ahead_PTD, next_PT, mtp_cache, rows_P)
            mtp_cache.truncate(rows, (held + lengths - 1).tolist())
        return self.model.logits(ends_PD), None if mtp_cache is None else ends_PD

    def check(self) -> None:
        assert not self._freed, "the weights have been freed: load some"

    def _on_device(self, integers: np.ndarray) -> Tensor:
        return send(torch.from_numpy(integers), self.device)
