"""One new token for each row: the forward pass of decoding on a CPU, by matrix products and the kernels of native/.

It computes what `Transformer.forward` computes with a cache, which stays the form for prefilling, for other devices and for
machines without a compiler. What is different, for speed: no autograd, buffers that live from step to step, residuals
added by the matrix products, router and shared experts in one product, and MLA's absorbed form with the expansions of
kv_b_proj laid out once for each set of weights.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cogitate.model.decode_layers import Buffers, DecodingLayer, Norm, Product, StepArguments
from cogitate.model.kv_cache import KVCache, cache_width
from cogitate.model.native import SUFFIXES, native_library
from cogitate.model.rope import RotaryTable
from cogitate.model.transformer import Transformer

UNIT_ROWS = 16
"""Rows that share a prompt and are attended to by one thread at a time."""


class Decoder:
    """Decodes with a model on the CPU in float32 or bfloat16. After its weights have changed, `refresh`."""

    def __init__(self, model: Transformer, max_batch: int):
        assert self.supports(model), "decode with Transformer.forward instead"
        self.model = model
        self._buffers = Buffers(max_batch, model.embed_tokens.weight.dtype)
        rotation = RotaryTable(model.config).first(model.config.max_position_embeddings, torch.device("cpu"))
        self._rotation = torch.view_as_real(rotation).contiguous()
        self._step = StepArguments(rotation=self._rotation.data_ptr())
        self.refresh()

    @staticmethod
    def supports(model: Transformer) -> bool:
        weight = model.embed_tokens.weight
        return weight.device.type == "cpu" and weight.dtype in SUFFIXES and native_library() is not None

    @torch.inference_mode()
    def refresh(self) -> None:
        """Take again what is derived from the weights."""
        model, buffers = self.model, self._buffers
        width = cache_width(model.config)
        self._layers = [DecodingLayer(layer, width, buffers) for layer in model.layers]  # type: ignore[arg-type]
        self._final_norm = Norm(model.norm, buffers)
        self._head = Product(model.head_weight, None, buffers, "logits")

    @torch.inference_mode()
    def logits(self, tokens_N: Tensor, cache: KVCache, rows: np.ndarray, units: np.ndarray) -> Tensor:
        """Append a token to each row; the logits of the next one, (N, V), valid until the next call.

        Args:
            tokens_N: int64.
            rows: int64 (N,), different rows of the cache; those that share a prompt stand beside each other.
            units: as `share_units` gives it for these rows.
        """
        lengths = cache.lengths.numpy()
        grown = lengths[rows] + 1
        cache.reserve(rows, grown)
        lengths[rows] = grown
        step = self._step
        step.units, step.table_stride = len(units) - 1, cache.table.shape[1]
        step.unit_row, step.row, step.table = units.ctypes.data, rows.ctypes.data, cache.table.ctypes.data
        step.shared, step.length = cache.shared.ctypes.data, lengths.ctypes.data
        x_ND = self._buffers.get("x", len(rows), self.model.config.hidden_size)
        torch.index_select(self.model.embed_tokens.weight, 0, tokens_N, out=x_ND)
        for layer, entries in zip(self._layers, cache.layers, strict=True):
            layer(x_ND, step, entries)
        return self._head(self._final_norm(x_ND))


def share_units(cache: KVCache, rows: np.ndarray) -> np.ndarray:
    """Cut rows into runs of at most UNIT_ROWS that share their prompt: int32 bounds of the runs."""
    bounds = [0]
    prompts = [cache.prompt_of(row) for row in rows.tolist()]
    for i in range(1, len(rows)):
        if prompts[i] is None or prompts[i] is not prompts[i - 1] or i - bounds[-1] == UNIT_ROWS:
            bounds.append(i)
    return np.array([*bounds, len(rows)], dtype=np.int32)
