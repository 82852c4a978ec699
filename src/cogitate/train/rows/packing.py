"""Fitting sequences of many lengths into arrays: packed rows for supervised training, padded micro-batches for RL.

Both are deterministic: the same lengths give the same arrangement, ties go to the earlier sequence.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cogitate.errors import ConfigError, DataError
from cogitate.types import PackedRows

PADDING = -1  # the document number of padding


@dataclass(frozen=True, slots=True)
class LengthBatches:
    """Micro-batches of similar length.

    Attributes:
        batches: indices into `lengths`, each index once; the first batch holds the longest sequences.
        padding_share: padding tokens / all tokens (rows x longest, summed over batches).
    """

    batches: tuple[tuple[int, ...], ...]
    padding_share: float


def best_fit_rows(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Choose a row for every document: longest first, each into the fullest row that still holds it (best-fit decreasing).

    R1 packs its SFT data by best fit (arXiv:2501.12948, supplement); the method is that of arXiv:2404.10830. O(n log n).

    Args:
        lengths: tokens of each document, at least 1.
        row_tokens: the length of a row.

    Returns:
        the indices of the documents of each row. Every document is whole and in exactly one row.

    Raises:
        DataError: a document is empty or longer than a row.
    """
    if row_tokens < 1:
        raise ConfigError(f"row_tokens must be at least 1, got {row_tokens}")
    sizes = _as_lengths(lengths)
    if sizes.size and sizes.max() > row_tokens:
        index = int(sizes.argmax())
        raise DataError(
            f"document {index} has {sizes[index]} tokens, a row {row_tokens}: raise row_tokens, or cut or drop the document"
        )
    rows: list[list[int]] = []
    open_rows: dict[int, list[int]] = {}  # free tokens -> rows with just that many; used as stacks
    free_sizes: list[int] = []  # the keys of open_rows, ascending
    for index in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[index])
        place = bisect_left(free_sizes, size)
        if place == len(free_sizes):
            row, free = len(rows), row_tokens
            rows.append([])
        else:
            free = free_sizes[place]
            row = open_rows[free].pop()
            if not open_rows[free]:
                del open_rows[free], free_sizes[place]
        rows[row].append(index)
        left = free - size
        if left > 0:
            if left not in open_rows:
                open_rows[left] = []
                insort(free_sizes, left)
            open_rows[left].append(row)
    return rows


def pack_documents(
    documents: Sequence[Sequence[int]], loss_masks: Sequence[Sequence[int]] | None, row_tokens: int, *, pad_id: int
) -> PackedRows:
    """Best-fit packing of token sequences.

    Args:
        documents: token ids of each document.
        loss_masks: one per token, 1 where it is to be predicted; None predicts every token.
        row_tokens: the length of a row.
        pad_id: the token that fills rows up.

    Raises:
        DataError: a document is empty, longer than a row, or not as long as its mask.
    """
    if loss_masks is not None:
        _check_masks(documents, loss_masks)
    rows = best_fit_rows([len(document) for document in documents], row_tokens)

    def document_of(index: int) -> tuple[Sequence[int], Sequence[int] | bool]:
        return documents[index], True if loss_masks is None else loss_masks[index]

    return fill_rows(rows, document_of, row_tokens, pad_id=pad_id)


def fill_rows(
    rows: Sequence[Sequence[int]],
    document_of: Callable[[int], tuple[Sequence[int] | NDArray[np.integer], Sequence[int] | NDArray[np.bool_] | bool]],
    row_tokens: int,
    *,
    pad_id: int,
) -> PackedRows:
    """Rows of documents.

    Args:
        rows: the indices of the documents of each.
        document_of: tokens and loss mask of one.
    """
    shape = (len(rows), row_tokens)
    tokens_BT = np.full(shape, pad_id, np.int64)
    loss_mask_BT = np.zeros(shape, np.bool_)
    documents_BT = np.full(shape, PADDING, np.int64)
    positions_BT = np.zeros(shape, np.int64)
    used = 0
    for row, indices in enumerate(rows):
        start = 0
        for number, index in enumerate(indices):
            tokens, mask = document_of(index)
            stop = start + len(tokens)
            tokens_BT[row, start:stop] = tokens
            loss_mask_BT[row, start:stop] = mask
            documents_BT[row, start:stop] = number
            positions_BT[row, start:stop] = np.arange(stop - start)
            start = stop
        used += start
    padding_share = 1.0 - used / tokens_BT.size if rows else 0.0
    return PackedRows(tokens_BT, loss_mask_BT, documents_BT, positions_BT, padding_share)


def length_batches(lengths: Sequence[int], token_budget: int) -> LengthBatches:
    """Cut sequences, sorted by length, into right-padded micro-batches with rows x longest <= token_budget.

    Args:
        lengths: tokens of each sequence (prompt and completion), at least 1.
        token_budget: padded tokens of one forward and backward pass; bounds its memory.

    Raises:
        ConfigError: one sequence alone is over the budget.
    """
    sizes = _as_lengths(lengths)
    if sizes.size and sizes.max() > token_budget:
        raise ConfigError(
            f"a sequence of {sizes.max()} tokens does not fit a micro-batch of {token_budget}: raise the token budget"
        )
    order = np.argsort(-sizes, kind="stable").tolist()
    batches, padded, start = [], 0, 0
    while start < len(order):
        longest = int(sizes[order[start]])
        stop = min(len(order), start + token_budget // longest)
        batches.append(tuple(order[start:stop]))
        padded += longest * (stop - start)
        start = stop
    return LengthBatches(tuple(batches), 1.0 - int(sizes.sum()) / padded if padded else 0.0)


def split_evenly(count: int, parts: int) -> list[range]:
    """0..count-1 as at most `parts` consecutive ranges whose sizes differ by at most one."""
    parts = min(parts, count)
    bounds = [count * i // parts for i in range(parts + 1)]
    return [range(a, b) for a, b in pairwise(bounds)]


def _as_lengths(lengths: Sequence[int]) -> NDArray[np.int64]:
    sizes = np.asarray(lengths, np.int64)
    if sizes.size and sizes.min() < 1:
        raise DataError(f"sequence {int(sizes.argmin())} is empty: drop empty sequences first")
    return sizes


def _check_masks(documents: Sequence[Sequence[int]], loss_masks: Sequence[Sequence[int]]) -> None:
    if len(documents) != len(loss_masks):
        raise DataError(f"{len(documents)} documents but {len(loss_masks)} loss masks")
    for index, (document, mask) in enumerate(zip(documents, loss_masks, strict=True)):
        if len(document) != len(mask):
            raise DataError(f"document {index} has {len(document)} tokens but its loss mask {len(mask)}")
