"""One new token for each row: the forward pass of decoding on a CPU, by native/decode.cpp.

It computes what `Transformer.forward` computes with a cache, which stays the form for prefilling, for other devices and for
machines without a compiler. A row's result is the same to the bit whatever other rows are decoded with it.
"""

from __future__ import annotations

import ctypes

import numpy as np
import torch
from torch import Tensor

from cogitate.model.decode_weights import DecodeWeights, Int, Pointer, Step
from cogitate.model.kv_cache import KVCache
from cogitate.model.native import SUFFIXES, function, native_library
from cogitate.model.rope import RotaryTable
from cogitate.model.transformer import Transformer

UNIT_ROWS = 16
"""Rows that share a prompt and are attended to by one thread at a time."""


class Decoder:
    """Decodes with a model on the CPU in float32 or bfloat16. After its weights have changed, `refresh`."""

    def __init__(self, model: Transformer, max_batch: int):
        assert self.supports(model), "decode with Transformer.forward instead"
        self.model, self.max_batch = model, max_batch
        rotation = RotaryTable(model.config).first(model.config.max_position_embeddings, torch.device("cpu"))
        self._rotation = torch.view_as_real(rotation).contiguous()
        self._step = Step(rotation=self._rotation.data_ptr())
        dtype = model.embed_tokens.weight.dtype
        self._kernel = function("decode", dtype)
        self.refresh()
        workspace_bytes = function("workspace_bytes", dtype, returns=ctypes.c_int64)
        size = workspace_bytes(ctypes.byref(self._weights.model), Int(max_batch))
        self._memory = torch.zeros(size, dtype=torch.uint8)
        self._logits = torch.empty(max_batch, model.config.vocab_size)

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
        assert tokens_N.dtype == rows.dtype == np.int64
        lengths = cache.lengths.numpy()
        grown = lengths[rows] + 1
        cache.reserve(rows, grown)
        lengths[rows] = grown
        step = self._step
        step.rows, step.units, step.table_stride = len(rows), len(units) - 1, cache.table.shape[1]
        step.unit_row, step.row, step.table = units.ctypes.data, rows.ctypes.data, cache.table.ctypes.data
        step.shared, step.length = cache.shared.ctypes.data, lengths.ctypes.data
        for layer, entries in zip(self._weights.layers, cache.layers, strict=True):
            layer.attention.cache = entries.data_ptr()
        self._kernel(
            ctypes.byref(self._weights.model),
            ctypes.byref(step),
            Pointer(tokens_N.ctypes.data),
            Pointer(self._memory.data_ptr()),
            Pointer(self._logits.data_ptr()),
        )
        return self._logits[: len(rows)]


def share_units(cache: KVCache, rows: np.ndarray) -> np.ndarray:
    """Cut rows into runs of at most UNIT_ROWS that share their prompt: int32 bounds of the runs."""
    bounds = [0]
    prompts = [cache.prompt_of(row) for row in rows.tolist()]
    for i in range(1, len(rows)):
        if prompts[i] is None or prompts[i] is not prompts[i - 1] or i - bounds[-1] == UNIT_ROWS:
            bounds.append(i)
    return np.array([*bounds, len(rows)], dtype=np.int32)
