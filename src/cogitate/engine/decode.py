"""The forward pass of generation on a CPU, by kernels/decode.cpp: new tokens of cached rows in, logits of the next ones out.

It computes what `Transformer.forward` and the MTP block compute with a cache; decode_plain.py does so on other devices and
without a compiler. A token's result is the same to the bit whatever other tokens are computed with it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cogitate.engine.batch import Batch, Reading, append_to, neighbour_units
from cogitate.engine.decode_weights import DecodeWeights, Int, Pointer, Stack, Step
from cogitate.kernels import SUFFIXES, function, native_library
from cogitate.model.files.hf import allocated, load_weights_into, unfilled_model
from cogitate.model.kv_cache import KVCache
from cogitate.model.rope import RotaryTable
from cogitate.model.transformer import Transformer

PREFILL_TOKENS = 512  # prompt tokens that go through the layers together
DRAFTED = 2  # tokens of a row that are read at a time where one is a draft


class Decoder:
    """Generates with a model on the CPU in float32 or bfloat16. It has copies of all weights but the embedding, which it
    shares: after they have changed, `read` them again or `load` others. The model itself is not kept.

    Logits that it returns are valid until the next call, hidden states until the next `verify`.

    Args:
        max_batch: rows of `logits`, `verify` and `draft`, at most.
        mtp: `prefill` for the MTP block, too, and `verify` and `draft` are wanted.
        drafts: tokens of `read_on` beyond one for each row, at most.
        bits: of the weights of matrices: 8 or 4 (bits/groups.py); 0: they are the model's.
        activation_bits: of what these are multiplied with: 8 (bits/products.py), or 0 for numbers of `dtype`.
        cache_bits: of the caches: 8, or 0 for numbers of `dtype`.
        dtype: what is computed in; the model's where `bits` is 0.
    """

    def __init__(
        self,
        model: Transformer,
        max_batch: int,
        *,
        mtp: bool = False,
        drafts: int = 0,
        bits: int = 0,
        activation_bits: int = 0,
        cache_bits: int = 0,
        dtype: torch.dtype | None = None,
    ):
        assert self.supports(model), "generate with decode_plain.PlainDecoder instead"
        self.config, source_dtype = model.config, model.embed_tokens.weight.dtype
        self.dtype, self.bits, self.cache_bits = dtype or source_dtype, bits, cache_bits
        self.activation_bits = activation_bits
        assert bits or self.dtype == source_dtype, f"{source_dtype} weights are not rounded to {self.dtype}"
        self.max_batch, self.mtp = max_batch, mtp
        rotation = RotaryTable(model.config).first(model.config.max_position_embeddings, torch.device("cpu"))
        self._held: DecodeWeights | None = None
        self._shell = unfilled_model(model.config, dtype=source_dtype, device="meta")  # that weights are loaded by
        self._rotation = torch.view_as_real(rotation).contiguous()
        self._step = Step(rotation=self._rotation.data_ptr())
        self._kernel = function("forward_hidden", self.dtype)
        self.read(model)
        workspace_bytes = function("workspace_bytes", self.dtype, returns=ctypes.c_int64)
        most = (max_batch * DRAFTED if mtp else max_batch) + drafts
        stacks = [self._weights.main, *([self._weights.mtp] if self._weights.mtp else [])]
        self._most_tokens = most + PREFILL_TOKENS
        size = max(workspace_bytes(ctypes.byref(stack.model), Int(self._most_tokens)) for stack in stacks)
        self._memory = torch.zeros(size, dtype=torch.uint8, device="cpu")
        self._logits = _floats(most, model.config.vocab_size)
        self._hidden = _floats(most if mtp else 0, model.config.hidden_size)
        self._all = np.arange(most, dtype=np.int32)
        self._beside: Reading | None = None

    @property
    def _weights(self) -> DecodeWeights:
        assert self._held is not None, "the weights have been freed: load some"
        return self._held

    @staticmethod
    def supports(model: Transformer) -> bool:
        weight = model.embed_tokens.weight
        return weight.device.type == "cpu" and weight.dtype in SUFFIXES and native_library() is not None

    def read(self, model: Transformer) -> None:
        """Take over a model's weights, as they are now."""
        self._held = DecodeWeights(
            model,
            dtype=self.dtype,
            bits=self.bits,
            activation_bits=self.activation_bits,
            cache_bits=self.cache_bits,
            mtp=self.mtp,
            in_place=model is self._shell and not self.bits,
        )

    def free(self) -> None:
        """Let go of the weights until the next `load`."""
        self._held = None

    def load(self, directory: Path) -> None:
        """Take over the weights of a Hugging Face directory.

        Raises:
            CheckpointError: as load_weights_into.
        """
        try:
            load_weights_into(allocated(self._shell, "cpu"), directory)
            self.free()
            self.read(self._shell)
        finally:
            self._shell.to(device="meta")

    def read_beside(self, reading: Reading | None) -> None:
        """What the next `logits` or `read_on` reads, too, at most PREFILL_TOKENS tokens: weights are then read once for both,
        and running completions wait for one pass instead of two. None: nothing."""
        self._beside = reading

    def logits(self, tokens_N: np.ndarray, cache: KVCache, rows: np.ndarray, units: np.ndarray) -> Tensor:
        """Append a token to each row; the logits of the next one, float32 (N, V).

        Args:
            tokens_N: int64 (N,).
            rows: int64 (N,), different rows of the cache; those that share a prompt stand beside each other.
            units: as `share_units` gives it for these rows.
        """
        assert len(rows) <= self.max_batch
        return self._step_logits(Batch(tokens_N, rows, append_to(cache, rows, 1), units, self._all[: len(rows)]), cache)

    def verify(self, tokens_N2: np.ndarray, cache: KVCache, rows: np.ndarray, units: np.ndarray) -> tuple[Tensor, Tensor]:
        """Append two tokens to each row, the second a draft.

        Returns:
            After each of them the logits of the next one, float32 (N, 2, V), and the hidden state, float32 (N, 2, D).
        """
        count = tokens_N2.size
        assert len(rows) <= self.max_batch
        logits_XV, hidden_XD = self._logits[:count], self._hidden[:count]
        ends = append_to(cache, rows, DRAFTED)
        batch = Batch(tokens_N2.reshape(-1), np.repeat(rows, DRAFTED), ends, units * DRAFTED, self._all[:count])
        self._forward(self._weights.main, batch, cache, logits_XV, made=hidden_XD)
        return logits_XV.view(-1, DRAFTED, logits_XV.shape[1]), hidden_XD.view(-1, DRAFTED, hidden_XD.shape[1])

    def read_on(
        self, tokens_X: np.ndarray, counts_N: np.ndarray, cache: KVCache, rows: np.ndarray, units: np.ndarray
    ) -> Tensor:
        """Append several tokens to each row, row by row; after each of them the logits of the next one, float32 (X, V).

        Args:
            tokens_X: int64.
            counts_N: int64, how many are each row's, at least one.
            rows, units: as in `logits`.
        """
        ends, select = append_to(cache, rows, counts_N), self._all[: len(tokens_X)]
        bounds = np.concatenate(([0], np.cumsum(counts_N)))[units].astype(np.int32)
        return self._step_logits(Batch(tokens_X, np.repeat(rows, counts_N), ends, bounds, select), cache)

    def _step_logits(self, step: Batch, cache: KVCache) -> Tensor:
        """The logits that a step wants; what is read beside it gets its own."""
        (beside, self._beside), wanted = (self._beside, None), len(step.select)
        batch = step if beside is None else step.and_then(beside.batch(cache))
        if len(batch.select) > len(self._logits):
            self._logits = _floats(len(batch.select), self.config.vocab_size)
        logits_XV = self._logits[: len(batch.select)]
        self._forward(self._weights.main, batch, cache, logits_XV)
        if beside is not None:
            beside.logits_PV = logits_XV[wanted:].clone()
        return logits_XV[:wanted]

    def draft(
        self,
        hidden_N2D: Tensor,
        tokens_N2: np.ndarray,
        counts_N: np.ndarray,
        mtp_cache: KVCache,
        rows: np.ndarray,
        units: np.ndarray,
    ) -> Tensor:
        """Let the MTP block read on in each row; its logits of the token after, float32 (N, V).

        Args:
            hidden_N2D: float32, the hidden states of the next one or two positions.
            tokens_N2: the tokens that follow them.
            counts_N: int64, how many of the two there are; the rest is rubbish.
        """
        assert self._weights.mtp is not None
        last = np.arange(len(rows)) * DRAFTED + counts_N - 1
        logits_NV = self._logits[: len(rows)]
        ends = append_to(mtp_cache, rows, DRAFTED)
        batch = Batch(tokens_N2.reshape(-1), np.repeat(rows, DRAFTED), ends, units * DRAFTED, last.astype(np.int32))
        self._forward(self._weights.mtp, batch, mtp_cache, logits_NV, given=hidden_N2D.contiguous())
        mtp_cache.lengths.numpy()[rows] -= DRAFTED - counts_N
        return logits_NV

    def prefill(
        self,
        prompts: Sequence[Sequence[int]],
        cache: KVCache,
        rows: Sequence[int],
        mtp_cache: KVCache | None = None,
        before_PD: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Append a prompt to each row, none empty.

        Args:
            mtp_cache: the MTP block reads the prompts, too; the rows are empty in both caches, or `before_PD` is given.
            before_PD: the hidden states at the ends of what the rows hold, float32.

        Returns:
            The logits of the token after each prompt, float32 (P, V), and with `mtp_cache` the hidden states at their ends,
            float32 (P, D).
        """
        counts = np.array([len(prompt) for prompt in prompts])
        row_of_prompt = np.array(rows, dtype=np.int64)
        tokens = np.concatenate([np.asarray(prompt, dtype=np.int64) for prompt in prompts])
        row = np.repeat(row_of_prompt, counts)
        up_to = append_to(cache, row_of_prompt, counts)
        is_last = np.zeros(len(tokens), dtype=bool)
        is_last[np.cumsum(counts) - 1] = True
        config = self.config
        logits_PV, hidden_PD = _floats(len(prompts), config.vocab_size), None
        if mtp_cache is not None:
            hidden_PD = _floats(len(prompts), config.hidden_size)
            if before_PD is not None:
                first = np.cumsum(counts) - counts
                self._read_ahead(before_PD, tokens[first], mtp_cache, row_of_prompt, append_to(mtp_cache, row_of_prompt, 1))
            append_to(mtp_cache, row_of_prompt, counts - 1)
            held = cache.lengths[row_of_prompt] - 1
            assert np.array_equal(mtp_cache.lengths[row_of_prompt], held), "the MTP block reads whole prompts"
        done = 0
        for begin in range(0, len(tokens), PREFILL_TOKENS):
            part = slice(begin, begin + PREFILL_TOKENS)
            ends = np.flatnonzero(is_last[part]).astype(np.int32)
            made_XD = None if mtp_cache is None else _floats(len(is_last[part]), config.hidden_size)
            batch = Batch(tokens[part], row[part], up_to[part], neighbour_units(row[part], up_to[part]), ends)
            self._forward(self._weights.main, batch, cache, logits_PV[done : done + len(ends)], made=made_XD)
            if mtp_cache is not None and hidden_PD is not None and made_XD is not None:
                hidden_PD[done : done + len(ends)] = made_XD[ends]
                inner = np.flatnonzero(~is_last[part])
                self._read_ahead(made_XD[inner], tokens[begin + inner + 1], mtp_cache, row[part][inner], up_to[part][inner])
            done += len(ends)
        return logits_PV, hidden_PD

    def _read_ahead(
        self, hidden_XD: Tensor, next_tokens: np.ndarray, mtp_cache: KVCache, rows: np.ndarray, lengths: np.ndarray
    ) -> None:
        """Let the MTP block read part of some prompts."""
        if len(rows):
            assert self._weights.mtp is not None
            batch = Batch(next_tokens, rows, lengths, neighbour_units(rows, lengths), np.zeros(0, dtype=np.int32))
            self._forward(self._weights.mtp, batch, mtp_cache, self._logits, given=hidden_XD)

    def _forward(
        self,
        stack: Stack,
        batch: Batch,
        cache: KVCache,
        logits: Tensor,
        *,
        given: Tensor | None = None,
        made: Tensor | None = None,
    ) -> None:
        tokens, rows, ends, units, select = batch.tokens, batch.rows, batch.ends, batch.units, batch.select
        assert tokens.dtype == rows.dtype == ends.dtype == np.int64
        assert units.dtype == select.dtype == np.int32
        assert len(tokens) <= self._most_tokens, f"{len(tokens)} tokens at once, room for {self._most_tokens}"
        assert len(select) <= len(logits), f"logits of {len(select)} tokens, room for {len(logits)}"
        assert cache.max_tokens <= self.config.max_position_embeddings, f"a cache of {cache.max_tokens} tokens"
        assert (cache.bits, cache.layers[0].dtype) == (self.cache_bits, torch.int8 if self.cache_bits else self.dtype)
        step, hidden = self._step, stack.hidden
        step.tokens, step.units, step.selected = len(tokens), len(units) - 1, len(select)
        step.unit_token, step.row, step.length = units.ctypes.data, rows.ctypes.data, ends.ctypes.data
        step.select, step.shared = select.ctypes.data, cache.shared.ctypes.data
        step.table, step.table_stride = cache.table.ctypes.data, cache.table.shape[1]
        hidden.given, hidden.made = (None if states is None else states.data_ptr() for states in (given, made))
        for layer, entries in zip(stack.layers, cache.layers, strict=True):
            layer.attention.cache = entries.data_ptr()
        self._kernel(
            ctypes.byref(stack.model),
            ctypes.byref(step),
            Pointer(tokens.ctypes.data),
            Pointer(self._memory.data_ptr()),
            Pointer(logits.data_ptr()),
            ctypes.byref(hidden),
        )


def _floats(*shape: int) -> Tensor:
    """Memory for float32 numbers on the CPU, whatever torch's defaults are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")
