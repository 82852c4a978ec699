"""What decoding remembers of earlier tokens, in blocks of 16 tokens.

An MLA model keeps its latent alone: kv_lora_rank + qk_rope_head_dim numbers for each token and layer (DeepSeek-V2,
arXiv:2405.04434, section 2.1). A GQA model keeps keys and values of its key/value heads. Blocks as in PagedAttention
(arXiv:2309.06180): memory follows the tokens held, and rows share the blocks of a common prompt. A block lives as long as
somebody holds it: a row, a shared prompt, or whoever keeps it for later rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cogitate.device import send
from cogitate.errors import ConfigError
from cogitate.model.cache_memory import cache_memory
from cogitate.model.config import ModelConfig

BLOCK = 16
"""Tokens of a block: the lanes of the widest vector registers."""


def cache_width(config: ModelConfig) -> int:
    """Numbers kept for each token and layer."""
    if config.is_mla:
        return config.kv_lora_rank + config.qk_rope_head_dim
    return 2 * config.num_key_value_heads * config.head_width


def entry_width(config: ModelConfig, bits: int = 0) -> int:
    """Elements of the cache for each token and layer: with 8 bits bytes, the float32 scales of keys and values among them.

    Raises:
        ConfigError: a latent cache, whose parts have no scale of their own.
    """
    if not bits:
        return cache_width(config)
    if config.is_mla:
        raise ConfigError(
            f"cache_bits = {bits}: the cache of a {config.model_type} model is latent, a fraction of keys and values already: "
            "set runtime.cache_bits = 0"
        )
    return cache_width(config) + 2 * config.num_key_value_heads * SCALE_BYTES


SCALE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Places:
    """Where tokens stand: block and lane within it, int64 (B, T) on the cache's device."""

    blocks_BT: Tensor
    lanes_BT: Tensor


@dataclass(slots=True, eq=False)
class SharedPrompt:
    """Blocks that several rows begin with, never written again; the last of them may be partly empty."""

    blocks: list[int]
    tokens: int
    users: int = 0


class KVCache:
    """A fixed number of rows, each a sequence of at most max_tokens tokens.

    The blocks' memory grows when tokens need it (cache_memory.py), and is given back when no row holds anything, unless it
    `stays`.

    Args:
        mtp: of the MTP block, in place of the model's layers.
        bits: 8: each key and value of a head is kept in 8 bits with a scale, for the kernels of decoding alone (attend.h).

    Attributes:
        lengths: int64 (rows,) on the CPU, tokens held by each row. After prefilling right-padded prompts `truncate` sets it
            to their true lengths.
        layers: for each layer (blocks, width, BLOCK) on a CPU: each number of an entry for the 16 tokens of a block, side by
            side. Elsewhere (blocks, BLOCK, width): an entry is read at once.
        table: int32 (rows, blocks): the blocks of each row in order, those of its shared prompt first. The first token
            after a shared prompt begins a block of its own.
        shared: int32 (rows,), tokens of each row's shared prompt.
        stays: memory is kept when no row holds anything: somebody knows its address.
    """

    def __init__(
        self,
        config: ModelConfig,
        rows: int,
        max_tokens: int,
        *,
        dtype: torch.dtype,
        device: torch.device | str,
        mtp: bool = False,
        bits: int = 0,
    ):
        self.max_tokens = max_tokens
        self.lengths = torch.zeros(rows, dtype=torch.long)
        self._by_token = torch.device(device).type != "cpu"
        self.bits, self.stays = bits, False
        dtype, width = torch.int8 if bits else dtype, entry_width(config, bits)
        shape = (BLOCK, width) if self._by_token else (width, BLOCK)
        self._first_layer = config.num_hidden_layers if mtp else 0
        layers = config.num_nextn_predict_layers if mtp else config.num_hidden_layers
        self._memory = cache_memory(layers, shape, dtype, device)
        self.layers = self._memory.give_back()
        self.bytes_per_block = width * BLOCK * dtype.itemsize * len(self.layers)
        self.table = np.zeros((rows, blocks_of(max_tokens) + 1), dtype=np.int32)
        self.shared = np.zeros(rows, dtype=np.int32)
        self._lengths = self.lengths.numpy()
        self._held = np.zeros(rows, dtype=np.int32)  # blocks of each row, shared ones included
        self._prompts: list[SharedPrompt | None] = [None] * rows
        self._free: list[int] = []
        self._holders = np.zeros(0, dtype=np.int32)  # of each block

    @property
    def blocks_in_use(self) -> int:
        return self.layers[0].shape[0] - len(self._free)

    def prompt_of(self, row: int) -> SharedPrompt | None:
        """Rows with the same object share it."""
        return self._prompts[row]

    def reserve(self, rows: np.ndarray, lengths: np.ndarray) -> None:
        """Give these rows blocks for `lengths` tokens in all.

        Raises:
            ValueError: that is more than max_tokens.
        """
        if int(lengths.max()) > self.max_tokens:
            raise ValueError(f"{int(lengths.max())} tokens do not fit a cache of max_tokens = {self.max_tokens}")
        shared = self.shared[rows]
        needed = -(-shared // BLOCK) - (shared - lengths) // BLOCK
        short = needed > self._held[rows]
        for row, count in zip(rows[short].tolist(), needed[short].tolist(), strict=True):
            held = int(self._held[row])
            self.table[row, held:count] = self._take(count - held)
            self._held[row] = count

    def places(self, rows: np.ndarray, positions_BT: np.ndarray) -> Places:
        """Where these positions of the rows stand. What is beyond a row's length is rubbish, to be masked."""
        shared = self.shared[rows][:, None]
        slots_BT = positions_BT + (-shared % BLOCK) * (positions_BT >= shared)
        blocks_BT = np.take_along_axis(self.table[rows], np.minimum(slots_BT // BLOCK, self.table.shape[1] - 1), axis=1)
        device = self.layers[0].device
        return Places(*(send(torch.from_numpy(part.astype(np.int64)), device) for part in (blocks_BT, slots_BT % BLOCK)))

    def write(self, layer: int, places: Places, entries_BTW: Tensor) -> None:
        assert not self.bits, "a cache of 8 bits is written by kernels"
        entries = self.entries_of(layer)
        if self._by_token:
            entries[places.blocks_BT, places.lanes_BT] = entries_BTW.to(entries.dtype)
        else:
            entries[places.blocks_BT, :, places.lanes_BT] = entries_BTW.to(entries.dtype)

    def read(self, layer: int, places: Places) -> Tensor:
        """(B, T, width)"""
        assert not self.bits, "a cache of 8 bits is read by kernels"
        entries = self.entries_of(layer)
        if self._by_token:
            return entries[places.blocks_BT, places.lanes_BT]
        return entries[places.blocks_BT, :, places.lanes_BT]

    def entries_of(self, layer: int) -> Tensor:
        """All blocks of a layer, as `layers` has them."""
        return self.layers[layer - self._first_layer]

    def table_of(self, rows: np.ndarray) -> np.ndarray:
        """The blocks of these rows, int32 (rows, most of a row); what a row lacks is filled with blocks of anybody."""
        return self.table[rows, : self._held[rows].max()]

    def fork(self, source: int, targets: Sequence[int]) -> None:
        """Give other, empty rows what a row holds: a prompt that several completions share is prefilled and kept once.

        From the first fork on what the source holds then, its prompt, is shared and read-only; what any of them appends is its
        own. Forked again, what the source has appended is shared as far as it fills blocks, and copied beyond.
        """
        prompt = self._prompts[source]
        if prompt is None:
            prompt = SharedPrompt(self.table[source, : self._held[source]].tolist(), int(self._lengths[source]), users=1)
            self._prompts[source] = prompt
            self.shared[source] = prompt.tokens
        held = len(prompt.blocks)
        for target in targets:
            assert not self._held[target], f"row {target} is not empty"
            self._prompts[target] = prompt
            self.table[target, :held] = prompt.blocks
            self._held[target] = held
            self.shared[target] = self._lengths[target] = prompt.tokens
        prompt.users += len(targets)
        if (more := int(self._lengths[source]) - prompt.tokens) > 0:
            further = self.table[source, held : held + blocks_of(more)].tolist()
            for target in targets:
                self.append_shared(target, further[: more // BLOCK], more - more % BLOCK)
                if more % BLOCK:
                    self.append_copied(target, further[-1], more % BLOCK)

    def append_shared(self, row: int, blocks: Sequence[int], tokens: int) -> None:
        """Let a row whose blocks are full, or that ends with its prompt, go on with blocks that others hold."""
        held = int(self._held[row])
        self.table[row, held : held + len(blocks)] = blocks
        self._held[row] += len(blocks)
        self._lengths[row] += tokens
        self.hold(blocks)

    def append_copied(self, row: int, block: int, tokens: int) -> None:
        """The same with a copy of one block, of which the row has the first tokens and overwrites the rest."""
        held = int(self._held[row])
        self.table[row, held] = self._copy(block)
        self._held[row] += 1
        self._lengths[row] += tokens

    def take_back(self, row: int, length: int) -> None:
        """Shorten a row that will be continued; a block that others hold is replaced by a copy before it is overwritten."""
        self.truncate([row], [length])
        last = int(self._held[row]) - 1
        if (length - int(self.shared[row])) % BLOCK and self._holders[self.table[row, last]] > 1:
            shared = int(self.table[row, last])
            self.table[row, last] = self._copy(shared)
            self.release([shared])

    def blocks_of_row(self, row: int) -> list[int]:
        """The blocks that hold a row's tokens, in order."""
        shared = int(self.shared[row])
        blocks: list[int] = self.table[row, : blocks_of(shared) + blocks_of(int(self._lengths[row]) - shared)].tolist()
        return blocks

    def hold(self, blocks: Sequence[int]) -> None:
        """Keep these blocks until they are released as often as they are held."""
        np.add.at(self._holders, np.asarray(blocks, dtype=np.int64), 1)

    def release(self, blocks: Sequence[int]) -> None:
        """Let go of blocks; those that nobody holds are free."""
        np.subtract.at(self._holders, np.asarray(blocks, dtype=np.int64), 1)
        self._free.extend(block for block in blocks if not self._holders[block])
        if not self.blocks_in_use and not self.stays:
            self._give_back()

    def truncate(self, rows: Sequence[int], lengths: Sequence[int]) -> None:
        """Shorten rows, and free the blocks that this empties."""
        for row, length in zip(rows, lengths, strict=True):
            shared = int(self.shared[row])
            assert shared <= length <= self._lengths[row], f"row {row}: {shared} <= {length} <= {self._lengths[row]} is not so"
            self._lengths[row] = length
            self._release(row, blocks_of(shared) + blocks_of(length - shared))

    def free(self, rows: Sequence[int]) -> None:
        """Forget what these rows hold."""
        for row in rows:
            prompt = self._prompts[row]
            if prompt is None:
                self._release(row, 0)
            else:
                self._release(row, len(prompt.blocks))
                prompt.users -= 1
                if not prompt.users:
                    self.release(prompt.blocks)
            self._prompts[row] = None
            self._lengths[row] = self.shared[row] = self._held[row] = 0

    def wipe(self) -> None:
        """Make what stays finite; nobody may hold a block."""
        assert not self.blocks_in_use, f"{self.blocks_in_use} blocks are in use"
        for entries in self.layers:
            entries.zero_()

    def _give_back(self) -> None:
        self.layers = self._memory.give_back()
        self._free.clear()
        self._holders = self._holders[:0]
        self.table[:] = 0

    def _release(self, row: int, keep: int) -> None:
        held = int(self._held[row])
        self._held[row] = min(held, keep)
        self.release(self.table[row, keep:held].tolist())

    def _copy(self, block: int) -> int:
        (new,) = self._take(1)
        for entries in self.layers:
            entries[new] = entries[block]
        return new

    def _take(self, count: int) -> list[int]:
        """Numbers of blocks that are nobody's, with finite contents."""
        if len(self._free) < count:
            self._grow(count - len(self._free))
        taken = self._free[-count:]
        del self._free[-count:]
        self._holders[taken] = 1
        return taken

    def _grow(self, missing: int) -> None:
        before = len(self._holders)
        self.layers = self._memory.grow(missing)
        blocks = self.layers[0].shape[0]
        self._free.extend(range(blocks - 1, before - 1, -1))
        self._holders = np.concatenate((self._holders, np.zeros(blocks - before, dtype=np.int32)))


def blocks_of(tokens: int) -> int:
    """Blocks that hold so many tokens."""
    return -(-tokens // BLOCK)
