"""The Triton kernels of `reads.InPlace`. Only this file imports Triton.

A program attends with the queries of some heads that share a key head, in one row, to a part of the row's slots, tile by tile
with a running maximum (FlashAttention, arXiv:2205.14135). Where rows are too few to fill the device, a row's slots are cut
into several parts, and a second kernel joins what they found (Flash-Decoding).
"""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl
from torch import Tensor

from cogitate.model.kv_cache import BLOCK
from cogitate.model.paged.reads import Cut, Slots

MOST_PARTS = 32
TILES_OF_A_PART = 4  # at least: less is not worth a program
LEAST = 16  # the smallest side of a product of tiles
NO_WINDOW = 2**31 - 1


@triton.jit
def attend_to_part(
    made, sums, queries, entries, table, positions, slots, shared, own,
    query_row, query_token, query_head, table_row, position_row, slot_row, shared_row, own_row,
    tokens, group, kv_heads, window, scale,
    KEY: tl.constexpr, KEY_TILE: tl.constexpr, REST: tl.constexpr, REST_TILE: tl.constexpr,
    VALUE: tl.constexpr, VALUE_TILE: tl.constexpr, VALUES_AT: tl.constexpr, WIDTH: tl.constexpr,
    BLOCK: tl.constexpr, QUERIES: tl.constexpr, SLOTS: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """A key is KEY numbers and, of a latent, REST more; a latent's value is the first VALUE = KEY of them (VALUES_AT = 0)."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) % kv_heads
    part = tl.program_id(2)
    query = (tl.program_id(1) // kv_heads) * QUERIES + tl.arange(0, QUERIES)  # of tokens * group
    is_query = query < tokens * group
    token = tl.where(is_query, query // group, 0)
    query_at = head * group + query % group
    key_column, rest_column = tl.arange(0, KEY_TILE), tl.arange(0, REST_TILE)
    value_column = tl.arange(0, VALUE_TILE)

    position = tl.load(positions + row * position_row + token)
    slot = tl.load(slots + row * slot_row + token)
    shared_end, own_begin = tl.load(shared + row * shared_row), tl.load(own + row * own_row)
    # No token sees a slot before that of the first position in its window: a slot is at least its position.
    seen_from = tl.load(positions + row * position_row) - window + 1
    begin = tl.maximum(seen_from, 0) // SLOTS * SLOTS
    end = tl.load(slots + row * slot_row + tokens - 1) + 1
    share = tl.cdiv(tl.cdiv(end - begin, SLOTS), PARTS) * SLOTS
    part_begin = begin + part * share
    part_end = tl.minimum(part_begin + share, end)

    query_start = queries + row * query_row + token * query_token + query_at * query_head
    q = tl.load(query_start[:, None] + key_column[None, :], mask=is_query[:, None] & (key_column < KEY)[None, :], other=0.0)
    if REST:
        q_rest = tl.load(
            query_start[:, None] + KEY + rest_column[None, :],
            mask=is_query[:, None] & (rest_column < REST)[None, :],
            other=0.0,
        )

    top = tl.full([QUERIES], float("-inf"), tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    found = tl.zeros([QUERIES, VALUE_TILE], tl.float32)
    for first in range(part_begin, part_end, SLOTS):
        at = first + tl.arange(0, SLOTS)
        is_there = at < part_end
        block = tl.load(table + row * table_row + at // BLOCK, mask=is_there, other=0)
        entry = entries + (block * BLOCK + at % BLOCK) * WIDTH
        keys = tl.load(
            entry[:, None] + head * KEY + key_column[None, :], mask=is_there[:, None] & (key_column < KEY)[None, :], other=0.0
        )
        scores = tl.dot(q, tl.trans(keys), input_precision="ieee")
        if REST:
            rest = tl.load(
                entry[:, None] + KEY + rest_column[None, :], mask=is_there[:, None] & (rest_column < REST)[None, :], other=0.0
            )
            scores += tl.dot(q_rest, tl.trans(rest), input_precision="ieee")
        if VALUES_AT:
            values = tl.load(
                entry[:, None] + VALUES_AT + head * VALUE + value_column[None, :],
                mask=is_there[:, None] & (value_column < VALUE)[None, :],
                other=0.0,
            )
        else:
            values = keys
        held = at - tl.where(at >= own_begin, own_begin - shared_end, 0)  # the position in each slot
        is_held = is_there & ((at < shared_end) | (at >= own_begin))
        seen = is_held[None, :] & (at[None, :] <= slot[:, None]) & (position[:, None] - held[None, :] < window)
        scores = tl.where(seen, scores * scale, float("-inf"))
        now = tl.maximum(top, tl.max(scores, 1))
        by = tl.where(now == float("-inf"), 0.0, now)  # nothing was seen as yet
        kept = tl.exp(top - by)
        weights = tl.exp(scores - by[:, None])
        total = total * kept + tl.sum(weights, 1)
        found = found * kept[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        top = now

    place = ((row * tokens + token) * (kv_heads * group) + query_at) * PARTS + part
    total = tl.where(total == 0.0, 1.0, total)  # nothing was seen: then top is -inf, and so is the logarithm of the sum
    tl.store(
        made + place[:, None] * VALUE + value_column[None, :],
        (found / total[:, None]).to(made.dtype.element_ty),
        mask=is_query[:, None] & (value_column < VALUE)[None, :],
    )
    if PARTS > 1:
        tl.store(sums + place, top + tl.log(total), mask=is_query)


@triton.jit
def join_parts(out, made, sums, VALUE: tl.constexpr, VALUE_TILE: tl.constexpr, PARTS: tl.constexpr):
    """The parts of one query, weighted by their sums, which are logarithms; -inf of a part that saw nothing."""
    query = tl.program_id(0).to(tl.int64)
    part, column = tl.arange(0, PARTS), tl.arange(0, VALUE_TILE)
    logs = tl.load(sums + query * PARTS + part)
    weights = tl.exp(logs - tl.max(logs, 0))
    each = tl.load(made + (query * PARTS + part)[:, None] * VALUE + column[None, :], mask=(column < VALUE)[None, :], other=0.0)
    joined = tl.sum(each * weights[:, None], 0) / tl.sum(weights, 0)
    tl.store(out + query * VALUE + column, joined.to(out.dtype.element_ty), mask=column < VALUE)


def attend_in_place(
    q_NTHK: Tensor, entries: Tensor, slots: Slots, cut: Cut, window: int | None, scale: float, *, parts: int | None = None
) -> Tensor:
    """`reads.BlockReader.attend`, (N, T, H, V).

    Args:
        parts: that a row's slots are cut into, a power of two; None: as suits the device.
    """
    (rows, tokens, heads, key_width), width = q_NTHK.shape, entries.shape[2]
    group = heads // cut.kv_heads
    constants = constants_of(cut, key_width, width, tokens * group, q_NTHK.element_size())
    programs = cut.kv_heads * triton.cdiv(tokens * group, constants["QUERIES"])
    if parts is None:
        tiles = slots.table_NB.shape[1] * BLOCK // constants["SLOTS"]
        parts = parts_of(rows * programs, tiles, _multiprocessors(q_NTHK.device))
    out = q_NTHK.new_empty(rows, tokens, heads, cut.value_width)
    made = sums = out  # with one part
    if parts > 1:
        made = out.new_empty((*out.shape[:3], parts, cut.value_width), dtype=torch.float32)
        sums = made.new_empty(made.shape[:4])
    assert entries.is_contiguous()
    assert q_NTHK.stride(3) == slots.table_NB.stride(1) == slots.position_NT.stride(1) == slots.slot_NT.stride(1) == 1
    with torch.cuda.device_of(q_NTHK):
        attend_to_part[(rows, programs, parts)](
            made, sums, q_NTHK, entries, slots.table_NB, slots.position_NT, slots.slot_NT, slots.shared_N, slots.own_N,
            *q_NTHK.stride()[:3], slots.table_NB.stride(0), slots.position_NT.stride(0), slots.slot_NT.stride(0),
            slots.shared_N.stride(0), slots.own_N.stride(0),
            tokens, group, cut.kv_heads, NO_WINDOW if window is None else window, scale, **constants, PARTS=parts,
        )  # fmt: skip
        if parts > 1:
            value, tile = constants["VALUE"], constants["VALUE_TILE"]
            join_parts[(rows * tokens * heads,)](out, made, sums, VALUE=value, VALUE_TILE=tile, PARTS=parts)
    return out


def constants_of(cut: Cut, key_width: int, width: int, queries: int, itemsize: int) -> dict[str, int]:
    """What `attend_to_part` is compiled for, but for the number of parts.

    A tile of keys takes 16 KB, or 32 KB of latents in float32: with its values and the tile that is loaded meanwhile it has to
    fit the memory that a program shares.

    Args:
        width: of an entry. queries: that share a key head in a row. itemsize: bytes of a number.
    """
    main = key_width if cut.values_at else cut.value_width
    return {
        "KEY": main, "KEY_TILE": padded(main), "REST": key_width - main, "REST_TILE": padded(key_width - main),
        "VALUE": cut.value_width, "VALUE_TILE": padded(cut.value_width), "VALUES_AT": cut.values_at, "WIDTH": width,
        "BLOCK": BLOCK, "QUERIES": min(padded(queries), 64 if main <= 128 else LEAST),
        "SLOTS": max(LEAST, min(64, 16384 // (padded(main) * itemsize))),
    }  # fmt: skip


def padded(size: int) -> int:
    """The side of a tile for so many."""
    return max(int(triton.next_power_of_2(size)), LEAST)


def parts_of(programs: int, tiles: int, multiprocessors: int) -> int:
    """Into how many parts a row's tiles are cut: a power of two that gives each multiprocessor two programs."""
    wanted = min(2 * multiprocessors // programs, tiles // TILES_OF_A_PART, MOST_PARTS)
    return 1 << (max(wanted, 1).bit_length() - 1)


@functools.cache
def _multiprocessors(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
