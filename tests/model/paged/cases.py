"""Rows of a cache of blocks for attention in a step, and what it has to make of them, by sums in float64."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cogitate.model.kv_cache import BLOCK
from cogitate.model.paged.reads import Cut, Slots


class Row(NamedTuple):
    """Tokens that a row holds, the new ones included, and how many of them are a shared prompt."""

    held: int
    shared: int = 0


ROWS = (Row(1), Row(16), Row(17), Row(40, 16), Row(200), Row(61, 37), Row(131, 33), Row(23, 20))
SHAPES = {  # query heads, width of queries, how entries are cut, width of entries
    "one head": (1, 16, Cut(1, 16, 16), 32),
    "groups of three": (9, 64, Cut(3, 192, 64), 384),
    "groups of seven, a width between powers of two": (14, 24, Cut(2, 48, 24), 96),
    "latents": (4, 24, Cut(1, 0, 16), 24),
    "latents of many heads": (20, 96, Cut(1, 0, 64), 96),
}


class Case(NamedTuple):
    q_NTHK: Tensor
    entries: Tensor
    slots: Slots
    cut: Cut
    window: int | None
    scale: float
    expected: Tensor  # float64 (N, T, H, V)


def case(shape: str, tokens: int = 1, window: int | None = None, dtype: torch.dtype = torch.float32) -> Case:
    """The rows that hold so many tokens or more, each of which has appended that many."""
    heads, width, cut, entry_width = SHAPES[shape]
    rows = [row for row in ROWS if row.held - row.shared >= tokens]
    made = torch.Generator().manual_seed(0)
    places = [_places(row) for row in rows]
    blocks = [max(slot for _, slot in each) // BLOCK + 1 for each in places]
    order = torch.randperm(sum(blocks) + 7, generator=made)  # seven are nobody's
    table_NB = order[torch.randint(len(order), (len(rows), max(blocks) + 2), generator=made)]  # rubbish beyond a row's own
    for row, count in enumerate(blocks):
        table_NB[row, :count] = order[sum(blocks[:row]) : sum(blocks[:row]) + count]
    entries = torch.randn(len(order), BLOCK, entry_width, generator=made).to(dtype)
    beside = torch.randn(len(rows), tokens, heads + 3, width, generator=made).to(dtype)  # queries are cut from a projection
    q_NTHK = beside[:, :, :heads]
    numbers_NX = torch.tensor(
        [
            [*(position for position, _ in each[-tokens:]), *(slot for _, slot in each[-tokens:]), row.shared, _own(row)]
            for row, each in zip(rows, places, strict=True)
        ]
    )
    position_NT, slot_NT, ends_N2 = numbers_NX.split((tokens, tokens, 2), dim=1)
    slots = Slots(table_NB, position_NT, slot_NT, ends_N2[:, 0], ends_N2[:, 1])
    expected = torch.stack(
        [
            _expected(q_NTHK[row].double(), _held(entries, table_NB[row], each), cut, window, 0.3)
            for row, each in enumerate(places)
        ]
    )
    return Case(q_NTHK, entries, slots, cut, window, 0.3, expected)


def moved(given: Case, device: torch.device) -> Case:
    """The same on a device."""
    slots = given.slots
    parts = (slots.table_NB, slots.position_NT, slots.slot_NT, slots.shared_N, slots.own_N)
    there = Slots(*(part.to(device) for part in parts))
    return given._replace(q_NTHK=given.q_NTHK.to(device), entries=given.entries.to(device), slots=there)


def _own(row: Row) -> int:
    return -(-row.shared // BLOCK) * BLOCK


def _places(row: Row) -> list[tuple[int, int]]:
    """Position and slot of each token that a row holds."""
    return [(each, each if each < row.shared else each - row.shared + _own(row)) for each in range(row.held)]


def _held(entries: Tensor, table_B: Tensor, places: list[tuple[int, int]]) -> Tensor:
    return torch.stack([entries[table_B[slot // BLOCK], slot % BLOCK] for _, slot in places]).double()


def _expected(q_THK: Tensor, held_SW: Tensor, cut: Cut, window: int | None, scale: float) -> Tensor:
    (tokens, heads, width), held = q_THK.shape, len(held_SW)
    made = torch.zeros(tokens, heads, cut.value_width, dtype=torch.float64)
    for token in range(tokens):
        last = held - tokens + token
        first = 0 if window is None else max(last - window + 1, 0)
        for head in range(heads):
            shared = head * cut.kv_heads // heads
            keys = held_SW[first : last + 1, shared * width : (shared + 1) * width]
            values = held_SW[first : last + 1, cut.values_at + shared * cut.value_width :][:, : cut.value_width]
            made[token, head] = torch.softmax(scale * keys @ q_THK[token, head], dim=0) @ values
    return made
