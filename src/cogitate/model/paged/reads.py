"""Attention of a step on a device to what its rows' blocks hold, in two forms: over copies of the blocks, in plain PyTorch, and
in place, by a Triton kernel that follows the table of blocks (PagedAttention, arXiv:2309.06180)."""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from cogitate.model.kv_cache import BLOCK

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Slots:
    """Where the T new tokens of each of N rows stand, and what they may see.

    A slot is a place of a row's blocks, counted from the first of them. Between the end of the row's shared prompt and the
    beginning of its own text some slots are empty.

    Attributes:
        table_NB: int64, the blocks of each row in order; what a row lacks is filled with blocks of anybody.
        position_NT, slot_NT: int64, of each new token, ascending in each row.
        shared_N, own_N: int64, the slots in which the shared prompt has ended and the row's own text begins.
    """

    table_NB: Tensor
    position_NT: Tensor
    slot_NT: Tensor
    shared_N: Tensor
    own_N: Tensor

    def unseen(self, window: int | None) -> Tensor:
        """Which slots each new token does not see, bool (N, T, S)."""
        if window is None:
            return self._without_window
        slots_S, shared_N11, own_N11 = self._numbers, self.shared_N[:, None, None], self.own_N[:, None, None]
        held_N1S = slots_S - (slots_S >= own_N11) * (own_N11 - shared_N11)  # the position in each slot
        return self._without_window | (self.position_NT[..., None] - held_N1S >= window)

    @functools.cached_property
    def _without_window(self) -> Tensor:
        in_gap_N1S = (self._numbers >= self.shared_N[:, None, None]) & (self._numbers < self.own_N[:, None, None])
        return in_gap_N1S | (self._numbers > self.slot_NT[..., None])

    @functools.cached_property
    def _numbers(self) -> Tensor:
        return torch.arange(self.table_NB.shape[1] * BLOCK, device=self.table_NB.device)


class Cut(NamedTuple):
    """How attention cuts an entry of the cache: J keys side by side from its beginning, J values from `values_at` on. With
    values from 0 on, of a single key head, the value is the beginning of the key: a latent."""

    kv_heads: int
    values_at: int
    value_width: int


class BlockReader(Protocol):
    """Attends to what the rows' blocks hold, in any layer."""

    def attend(self, q_NTHK: Tensor, entries: Tensor, cut: Cut, window: int | None, scale: float) -> Tensor:
        """softmax(scale q k^T) v over the slots that each new token sees, (N, T, H, V).

        Args:
            entries: of a layer, (blocks, BLOCK, width).
        """


class Copied:
    """Whole blocks are copied, head by head, once in each layer. Masks of the shape of a layer's scores are made once for all
    layers, so that no layer has to spread them."""

    def __init__(self, slots: Slots, windows: Iterable[int | None], kv_heads: int, heads: int, dtype: torch.dtype):
        self._table_NB = slots.table_NB.contiguous()
        self._masks = {window: _mask_of_scores(slots.unseen(window), kv_heads, heads // kv_heads, dtype) for window in windows}

    def attend(self, q_NTHK: Tensor, entries: Tensor, cut: Cut, window: int | None, scale: float) -> Tensor:
        keys_XSK, values_XSV = _copies(entries, self._table_NB, cut)
        q_JNTGK = q_NTHK.unflatten(2, (cut.kv_heads, -1)).permute(2, 0, 1, 3, 4)
        queries_XQK = q_JNTGK.reshape(len(keys_XSK), -1, q_NTHK.shape[-1])
        scores_XQS = torch.baddbmm(self._masks[window], queries_XQK, keys_XSK.mT, alpha=scale)
        made_XQV = torch.bmm(torch.softmax(scores_XQS, dim=-1), values_XSV)  # softmax sums in float32 by itself
        return made_XQV.view(*q_JNTGK.shape[:4], -1).permute(1, 2, 0, 3, 4).flatten(2, 3)


class InPlace:
    """Entries are read where they lie, by one or two kernels a layer; nothing of the cache is copied and there is no mask."""

    def __init__(self, slots: Slots):
        self._slots = (slots.table_NB, slots.position_NT, slots.slot_NT, slots.shared_N, slots.own_N)

    def attend(self, q_NTHK: Tensor, entries: Tensor, cut: Cut, window: int | None, scale: float) -> Tensor:
        made: Tensor = torch.ops.cogitate.attend_paged(q_NTHK, entries, *self._slots, *cut, window or 0, scale)
        return made


@functools.cache
def has_triton() -> bool:
    """Whether kernels of Triton can be made; that they cannot is said once."""
    there = importlib.util.find_spec("triton") is not None
    if not there:
        log.warning("no Triton: steps copy the blocks of the cache once in each layer, which takes more memory and time")
    return there


IN_PLACE: dict[str, Callable[[], bool]] = {"cuda": has_triton}
"""By the type of device, for those that may read in place: whether they do."""


def make_reader(slots: Slots, windows: Iterable[int | None], kv_heads: int, heads: int, dtype: torch.dtype) -> Copied | InPlace:
    """The form for the slots' device.

    Args:
        windows: of the model's layers.
        kv_heads, heads: as attention meets them: of latents, which all heads share, there is one.
        dtype: of queries and of the cache.
    """
    if IN_PLACE.get(slots.table_NB.device.type, bool)():
        return InPlace(slots)
    return Copied(slots, windows, kv_heads, heads, dtype)


def _copies(entries: Tensor, table_NB: Tensor, cut: Cut) -> tuple[Tensor, Tensor]:
    """Keys (J * N, S, K) and values (J * N, S, V) of whole blocks, with what stands in unused slots."""
    heads = 2 * cut.kv_heads if cut.values_at else 1
    blocks = entries.unflatten(2, (heads, -1)).permute(2, 0, 1, 3).index_select(1, table_NB.flatten())
    held_XSK = blocks.view(heads * len(table_NB), -1, blocks.shape[-1])
    if not cut.values_at:
        return held_XSK, held_XSK[..., : cut.value_width]
    keys_XSK, values_XSK = held_XSK.chunk(2)
    return keys_XSK, values_XSK


def _mask_of_scores(unseen_NTS: Tensor, kv_heads: int, groups: int, dtype: torch.dtype) -> Tensor:
    """What is added to the scores of a layer, (J * N, T * G, S)."""
    rows, tokens, slots = unseen_NTS.shape
    made = torch.zeros((kv_heads, rows, tokens, groups, slots), dtype=dtype, device=unseen_NTS.device)
    return made.masked_fill_(unseen_NTS[:, :, None], float("-inf")).view(kv_heads * rows, tokens * groups, slots)


def _attend_paged(q_NTHK: Tensor, entries: Tensor, *others: Any) -> Tensor:
    """The operation by the form that has no kernel."""
    slots, cut, window, scale = _arguments(*others)
    return Copied(slots, (window,), cut.kv_heads, q_NTHK.shape[2], q_NTHK.dtype).attend(q_NTHK, entries, cut, window, scale)


def _attend_paged_by_kernel(q_NTHK: Tensor, entries: Tensor, *others: Any) -> Tensor:
    from cogitate.model.paged.kernel import attend_in_place  # which imports Triton

    return attend_in_place(q_NTHK, entries, *_arguments(*others))


def _arguments(
    table_NB: Tensor, position_NT: Tensor, slot_NT: Tensor, shared_N: Tensor, own_N: Tensor,
    kv_heads: int, values_at: int, value_width: int, window: int, scale: float,
) -> tuple[Slots, Cut, int | None, float]:  # fmt: skip
    """What the operation is given after queries and entries; it knows no None, so no window is 0."""
    slots = Slots(table_NB, position_NT, slot_NT, shared_N, own_N)
    return slots, Cut(kv_heads, values_at, value_width), window or None, scale


_LIBRARY = torch.library.Library("cogitate", "DEF")  # an operation of torch, so that any device knows it as one
_LIBRARY.define(
    "attend_paged(Tensor queries, Tensor entries, Tensor table, Tensor position, Tensor slot, Tensor shared, Tensor own, "
    "int kv_heads, int values_at, int value_width, int window, float scale) -> Tensor"
)
_LIBRARY.impl("attend_paged", _attend_paged, "CPU")
_LIBRARY.impl("attend_paged", _attend_paged_by_kernel, "CUDA")
