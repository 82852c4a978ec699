"""Bookkeeping of the block cache: what is held, shared and given back."""

import numpy as np
import pytest
import torch

from cogitate.model.config import TINY
from cogitate.model.kv_cache import KVCache


def make_cache(rows: int = 8, max_tokens: int = 100) -> KVCache:
    return KVCache(TINY, rows, max_tokens, dtype=torch.float32, device="cpu")


def extend(cache: KVCache, rows: list[int], lengths: list[int]) -> None:
    """Rows now hold that many tokens; the entry of token t of row r is r + t / 1000 throughout."""
    at, new = np.array(rows), np.array(lengths)
    cache.reserve(at, new)
    for row, length in zip(rows, lengths, strict=True):
        start = int(cache.lengths[row])
        positions = np.arange(start, length)[None]
        values = (row + torch.arange(start, length) / 1000).float()[None, :, None].expand(-1, -1, 72)
        for layer in range(len(cache.layers)):
            cache.write(layer, cache.places(np.array([row]), positions), values)
        cache.lengths[row] = length


def held(cache: KVCache, row: int) -> list[float]:
    length = int(cache.lengths[row])
    entries = cache.read(1, cache.places(np.array([row]), np.arange(length)[None]))
    assert torch.equal(entries[..., :1].expand_as(entries), entries)
    return [round(value, 3) for value in entries[0, :, 0].tolist()]


def test_memory_is_that_of_the_tokens_held_in_blocks_of_sixteen() -> None:
    cache = make_cache()
    assert cache.bytes_per_block == 16 * (64 + 8) * 4 * TINY.num_hidden_layers
    extend(cache, [0, 1], [16, 17])
    assert cache.blocks_in_use == 1 + 2
    extend(cache, [0], [33])
    assert cache.blocks_in_use == 3 + 2
    cache.free([0])
    assert cache.blocks_in_use == 2
    cache.free([1])
    assert cache.blocks_in_use == 0
    assert all(entries.numel() == 0 for entries in cache.layers)


def test_what_was_written_is_read_whatever_grows_beside_it() -> None:
    cache = make_cache()
    extend(cache, [0, 3], [5, 40])
    for length in (20, 50, 90):
        extend(cache, [0, 5], [length, length])
    assert held(cache, 0) == [round(t / 1000, 3) for t in range(90)]
    assert held(cache, 3) == [round(3 + t / 1000, 3) for t in range(40)]


def test_a_shared_prompt_is_kept_once_and_freed_with_its_last_user() -> None:
    cache = make_cache()
    extend(cache, [7], [21])
    cache.fork(7, [0, 1, 2])
    assert cache.blocks_in_use == 2
    extend(cache, [0, 1, 2], [22, 40, 21])
    assert cache.blocks_in_use == 2 + 1 + 2
    prompt = [round(7 + t / 1000, 3) for t in range(21)]
    assert held(cache, 1) == prompt + [round(1 + t / 1000, 3) for t in range(21, 40)]
    assert held(cache, 0) == [*prompt, 0.021]
    assert held(cache, 2) == prompt
    cache.free([7, 1])
    assert cache.blocks_in_use == 2 + 1
    assert held(cache, 0) == [*prompt, 0.021]
    cache.free([0, 2])
    assert cache.blocks_in_use == 0


def test_what_a_row_appended_before_it_is_forked_again_is_shared_by_blocks_and_copied_beyond() -> None:
    cache = make_cache()
    extend(cache, [7], [21])
    cache.fork(7, [])
    extend(cache, [7], [21 + 19])
    cache.fork(7, [0, 1])
    assert cache.blocks_in_use == 2 + 2 + 2  # the prompt's, one full block that is shared, and the last one of each row
    extend(cache, [0, 1], [44, 50])
    before = [round(7 + t / 1000, 3) for t in range(40)]
    for row, length in ((0, 44), (1, 50), (7, 40)):
        assert held(cache, row) == before + [round(row + t / 1000, 3) for t in range(40, length)]
    cache.free([7, 0, 1])
    assert cache.blocks_in_use == 0


def test_blocks_live_as_long_as_somebody_holds_them_and_are_copied_before_they_are_overwritten() -> None:
    cache = make_cache()
    extend(cache, [0], [40])
    blocks = cache.blocks_of_row(0)
    assert len(blocks) == 3
    cache.hold(blocks)
    cache.take_back(0, 35)
    extend(cache, [0], [36])
    assert cache.blocks_of_row(0)[:2] == blocks[:2]
    assert cache.blocks_of_row(0)[2] != blocks[2]
    cache.free([0])
    assert cache.blocks_in_use == 3
    cache.append_shared(1, blocks[:2], 32)
    cache.append_copied(1, blocks[2], 8)
    extend(cache, [1], [50])
    assert held(cache, 1) == [round(t / 1000, 3) for t in range(40)] + [round(1 + t / 1000, 3) for t in range(40, 50)]
    cache.release(blocks)
    assert cache.blocks_in_use == 4
    cache.free([1])
    assert cache.blocks_in_use == 0
    assert all(entries.numel() == 0 for entries in cache.layers)


def test_a_row_is_taken_back_into_an_earlier_block() -> None:
    cache = make_cache()
    extend(cache, [0], [40])
    blocks = cache.blocks_of_row(0)
    cache.hold(blocks)
    cache.take_back(0, 10)
    assert cache.blocks_in_use == 3 + 1
    extend(cache, [0], [20])
    assert held(cache, 0)[:10] == [round(t / 1000, 3) for t in range(10)]


def test_padding_is_given_back_by_truncating() -> None:
    cache = make_cache()
    extend(cache, [0, 1], [60, 60])
    cache.truncate([0, 1], [3, 60])
    assert cache.blocks_in_use == 1 + 4
    assert held(cache, 0) == [0.0, 0.001, 0.002]


def test_more_tokens_than_a_row_may_hold_are_refused() -> None:
    cache = make_cache(max_tokens=30)
    with pytest.raises(ValueError, match="31 tokens do not fit a cache of max_tokens = 30"):
        cache.reserve(np.array([0]), np.array([31]))


def test_a_random_life_of_rows_leaks_nothing() -> None:
    """Forks, growth and frees in random order: contents stay right, and at the end nothing is held."""
    random = np.random.default_rng(0)
    cache = make_cache(rows=12)
    prompts: dict[int, int] = {}
    for _ in range(300):
        row = int(random.integers(12))
        length = int(cache.lengths[row])
        action = random.integers(4)
        if action == 0 and length:
            cache.free([row])
            prompts.pop(row, None)
        elif action == 1 and length == 0:
            sources = [r for r in range(12) if cache.lengths[r] and (cache.shared[r] in (0, cache.lengths[r]))]
            if sources:
                source = int(random.choice(sources))
                cache.fork(source, [row])
                prompts[row] = prompts.get(source, source)
                prompts.setdefault(source, source)
        elif length < 90:
            extend(cache, [row], [length + int(random.integers(1, 10))])
        for each in range(12):
            shared = int(cache.shared[each])
            values = held(cache, each) if cache.lengths[each] else []
            owner = prompts.get(each, each)
            assert values[:shared] == [round(owner + t / 1000, 3) for t in range(shared)]
            assert values[shared:] == [round(each + t / 1000, 3) for t in range(shared, len(values))]
    cache.free([row for row in range(12) if cache.lengths[row]])
    assert cache.blocks_in_use == 0
