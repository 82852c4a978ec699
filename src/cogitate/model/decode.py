"""The forward pass of generation on a CPU, by native/decode.cpp: new tokens of cached rows in, logits of the next ones out.

It computes what `Transformer.forward` computes with a cache, which stays the form for other devices and for machines without
a compiler. A token's result is the same to the bit whatever other tokens are computed with it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cogitate.model.decode_weights import DecodeWeights, Int, Pointer, Step
from cogitate.model.kv_cache import BLOCK, KVCache
from cogitate.model.native import SUFFIXES, function, native_library
from cogitate.model.rope import RotaryTable
from cogitate.model.transformer import Transformer

UNIT_ROWS = 16  # rows that share a prompt and are attended to by one thread at a time
PREFILL_TOKENS = 512  # prompt tokens that go through the layers together


class Decoder:
    """Generates with a model on the CPU in float32 or bfloat16. After its weights have changed, `refresh`."""

    def __init__(self, model: Transformer, max_batch: int):
        assert self.supports(model), "generate with Transformer.forward instead"
        self.model, self.max_batch = model, max_batch
        rotation = RotaryTable(model.config).first(model.config.max_position_embeddings, torch.device("cpu"))
        self._rotation = torch.view_as_real(rotation).contiguous()
        self._step = Step(rotation=self._rotation.data_ptr())
        dtype = model.embed_tokens.weight.dtype
        self._kernel = function("forward", dtype)
        self.refresh()
        workspace_bytes = function("workspace_bytes", dtype, returns=ctypes.c_int64)
        threads = max(torch.get_num_threads(), os.cpu_count() or 1)
        size = workspace_bytes(ctypes.byref(self._weights.model), Int(max(max_batch, PREFILL_TOKENS)), Int(threads))
        self._memory = torch.zeros(size, dtype=torch.uint8)
        self._logits = torch.empty(max_batch, model.config.vocab_size)
        self._all = np.arange(max_batch, dtype=np.int32)

    @staticmethod
    def supports(model: Transformer) -> bool:
        weight = model.embed_tokens.weight
        return weight.device.type == "cpu" and weight.dtype in SUFFIXES and native_library() is not None

    def refresh(self) -> None:
        """Read the model's weights again."""
        self._weights = DecodeWeights(self.model)

    def logits(self, tokens_N: np.ndarray, cache: KVCache, rows: np.ndarray, units: np.ndarray) -> Tensor:
        """Append a token to each row; the logits of the next one, float32 (N, V), valid until the next call.

        Args:
            tokens_N: int64 (N,), N <= max_batch.
            rows: int64 (N,), different rows of the cache; those that share a prompt stand beside each other.
            units: as `share_units` gives it for these rows.
        """
        assert len(rows) <= self.max_batch
        lengths = cache.lengths.numpy()
        grown = lengths[rows] + 1
        cache.reserve(rows, grown)
        lengths[rows] = grown
        logits_NV = self._logits[: len(rows)]
        self._forward(tokens_N, cache, rows, grown, units, self._all[: len(rows)], logits_NV)
        return logits_NV

    def prefill(self, prompts: Sequence[Sequence[int]], cache: KVCache, rows: Sequence[int]) -> Tensor:
        """Append a prompt to each row, none empty; the logits of the token after it, float32 (P, V)."""
        counts = np.array([len(prompt) for prompt in prompts])
        row_of_prompt = np.array(rows, dtype=np.int64)
        lengths = cache.lengths.numpy()
        start = lengths[row_of_prompt]
        cache.reserve(row_of_prompt, start + counts)
        lengths[row_of_prompt] = start + counts
        tokens = np.concatenate([np.asarray(prompt, dtype=np.int64) for prompt in prompts])
        first = np.repeat(np.cumsum(counts) - counts, counts)
        up_to = np.arange(1, len(tokens) + 1) - first + np.repeat(start, counts)
        row = np.repeat(row_of_prompt, counts)
        last = np.cumsum(counts) - 1
        logits_PV = torch.empty(len(prompts), self.model.config.vocab_size)
        done = 0
        for begin in range(0, len(tokens), PREFILL_TOKENS):
            part = slice(begin, begin + PREFILL_TOKENS)
            select = (last[(last >= begin) & (last < begin + PREFILL_TOKENS)] - begin).astype(np.int32)
            units = _neighbour_units(row[part], up_to[part])
            self._forward(tokens[part], cache, row[part], up_to[part], units, select, logits_PV[done:])
            done += len(select)
        return logits_PV

    def _forward(
        self,
        tokens: np.ndarray,
        cache: KVCache,
        rows: np.ndarray,
        lengths: np.ndarray,
        units: np.ndarray,
        select: np.ndarray,
        logits: Tensor,
    ) -> None:
        assert tokens.dtype == rows.dtype == lengths.dtype == np.int64
        assert units.dtype == select.dtype == np.int32
        step = self._step
        step.tokens, step.units, step.selected = len(tokens), len(units) - 1, len(select)
        step.unit_token, step.row, step.length = units.ctypes.data, rows.ctypes.data, lengths.ctypes.data
        step.select, step.shared = select.ctypes.data, cache.shared.ctypes.data
        step.table, step.table_stride = cache.table.ctypes.data, cache.table.shape[1]
        for layer, entries in zip(self._weights.layers, cache.layers, strict=True):
            layer.attention.cache = entries.data_ptr()
        self._kernel(
            ctypes.byref(self._weights.model),
            ctypes.byref(step),
            Pointer(tokens.ctypes.data),
            Pointer(self._memory.data_ptr()),
            Pointer(logits.data_ptr()),
        )


def share_units(cache: KVCache, rows: np.ndarray) -> np.ndarray:
    """Cut rows into runs of at most UNIT_ROWS that share their prompt: int32 bounds of the runs."""
    bounds = [0]
    prompts = [cache.prompt_of(row) for row in rows.tolist()]
    for i in range(1, len(rows)):
        if prompts[i] is None or prompts[i] is not prompts[i - 1] or i - bounds[-1] == UNIT_ROWS:
            bounds.append(i)
    return np.array([*bounds, len(rows)], dtype=np.int32)


def _neighbour_units(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Cut the tokens of several rows into runs of neighbours in one row and one block."""
    starts = np.flatnonzero((np.diff(rows) != 0) | ((lengths[1:] - 1) % BLOCK == 0)) + 1
    return np.array([0, *starts, len(rows)], dtype=np.int32)
