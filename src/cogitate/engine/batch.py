"""Which tokens go through the layers together: of running completions, of prompts, or of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from cogitate.model.kv_cache import BLOCK, KVCache, SharedPrompt

UNIT_ROWS = 16  # rows that share a prompt and are attended to by one thread at a time


@dataclass(frozen=True, slots=True)
class Batch:
    """New tokens of cached rows, one after the other in each.

    Attributes:
        tokens: int64 (X,).
        rows: int64 (X,), the row of each.
        ends: int64 (X,), how many tokens its row holds up to it.
        units: int32, bounds of runs of tokens that see the same blocks: they are attended to together.
        select: int32, ascending: the tokens after which logits are wanted.
    """

    tokens: np.ndarray
    rows: np.ndarray
    ends: np.ndarray
    units: np.ndarray
    select: np.ndarray

    def and_then(self, other: Batch) -> Batch:
        """Both. No row is in both."""
        count = len(self.tokens)
        return Batch(
            np.concatenate((self.tokens, other.tokens)),
            np.concatenate((self.rows, other.rows)),
            np.concatenate((self.ends, other.ends)),
            np.concatenate((self.units, other.units[1:] + count), dtype=np.int32),
            np.concatenate((self.select, other.select + count), dtype=np.int32),
        )


@dataclass(slots=True, eq=False)
class Reading:
    """Prompts, or pieces of them, that are read into rows, none empty.

    Attributes:
        logits_PV: float32, of the token after each, once they are read.
    """

    prompts: Sequence[Sequence[int]]
    rows: Sequence[int]
    logits_PV: Tensor | None = None

    def batch(self, cache: KVCache) -> Batch:
        """Their tokens, for which there is room then."""
        counts, rows = np.array([len(prompt) for prompt in self.prompts]), np.array(self.rows, dtype=np.int64)
        tokens = np.concatenate([np.asarray(prompt, dtype=np.int64) for prompt in self.prompts])
        ends, row = append_to(cache, rows, counts), np.repeat(rows, counts)
        return Batch(tokens, row, ends, neighbour_units(row, ends), (np.cumsum(counts) - 1).astype(np.int32))


def append_to(cache: KVCache, rows: np.ndarray, counts: np.ndarray | int) -> np.ndarray:
    """Make room for so many more tokens in each row, which it now holds; how many it holds up to each of them, int64, row by
    row."""
    lengths = cache.lengths.numpy()
    start = lengths[rows]
    end = start + counts
    cache.reserve(rows, end)
    lengths[rows] = end
    if isinstance(counts, int):
        ends: np.ndarray = (start[:, None] + np.arange(1, counts + 1)).reshape(-1)
        return ends
    first = np.cumsum(counts) - counts
    places: np.ndarray = np.arange(1, counts.sum() + 1) + np.repeat(start - first, counts)
    return places


def share_units(cache: KVCache, rows: np.ndarray) -> np.ndarray:
    """Cut rows into runs of at most UNIT_ROWS that share their prompt: int32 bounds of the runs."""
    bounds = [0]
    prompts = [cache.prompt_of(row) for row in rows.tolist()]
    for i in range(1, len(rows)):
        if not same_prompt(prompts[i], prompts[i - 1]) or i - bounds[-1] == UNIT_ROWS:
            bounds.append(i)
    return np.array([*bounds, len(rows)], dtype=np.int32)


def same_prompt(one: SharedPrompt | None, other: SharedPrompt | None) -> bool:
    """Whether rows that begin with these begin with the same blocks."""
    if one is None or other is None:
        return False
    return one is other or (one.tokens == other.tokens and one.blocks == other.blocks)


def neighbour_units(rows: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Cut the tokens of several rows into runs of neighbours in one row and one block."""
    starts = np.flatnonzero((np.diff(rows) != 0) | ((ends[1:] - 1) % BLOCK == 0)) + 1
    return np.array([0, *starts, len(rows)], dtype=np.int32)
