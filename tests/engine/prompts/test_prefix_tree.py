"""What is kept of earlier requests: found by any prefix, bounded, and forgotten oldest first."""

from __future__ import annotations

import random
from itertools import pairwise

import torch

from cogitate.engine.prompts.prefix_tree import PrefixTree, chunks
from cogitate.model.config import TINY
from cogitate.model.kv_cache import BLOCK, KVCache, blocks_of

Tokens = tuple[int, ...]


def make_cache(rows: int = 4) -> KVCache:
    return KVCache(TINY, rows, 256, dtype=torch.float32, device="cpu")


def keep(tree: PrefixTree, tokens: Tokens, path: tuple[Tokens, ...] = ()) -> list[int]:
    """Let a row hold some tokens, keep its blocks and free it."""
    cache = tree.cache
    blocks = cache._take(blocks_of(len(tokens)))
    tree.insert(path, tokens, blocks)
    cache.release(blocks)
    return blocks


def counting(count: int, start: int = 0) -> Tokens:
    return tuple(range(start, start + count))


def test_whole_blocks_are_used_and_the_rest_is_copied_from_the_longest_common_beginning() -> None:
    tree = PrefixTree(make_cache(), 10**9)
    blocks = keep(tree, counting(40))
    found = tree.match((), counting(38))
    assert [node.block for node in found.nodes] == blocks[:2]
    assert found.copied is not None
    assert (found.copied.block, found.lanes, found.tokens) == (blocks[2], 6, 38)
    other = tree.match((), (*counting(19), 99, 98))
    assert ([node.block for node in other.nodes], other.lanes, other.tokens) == (blocks[:1], 3, 19)
    assert tree.match((), (7, *counting(40))).tokens == 0


def test_a_block_that_is_partly_empty_is_copied_where_others_are_written_behind_it() -> None:
    tree = PrefixTree(make_cache(), 10**9)
    (block,) = keep(tree, counting(11))
    assert [node.block for node in tree.match((), counting(11)).nodes] == [block]
    found = tree.match((), counting(11), goes_on=True)
    assert found.nodes == []
    assert found.copied is not None
    assert (found.copied.block, found.lanes) == (block, 11)


def test_what_follows_a_prompt_begins_blocks_of_its_own() -> None:
    tree = PrefixTree(make_cache(), 10**9)
    prompt, said = counting(20), counting(20, 100)
    keep(tree, prompt)
    blocks = keep(tree, said, (prompt,))
    found = tree.match((prompt,), said)
    assert [node.block for node in found.nodes] == blocks
    assert tree.match((), (*prompt, *said)).tokens == len(prompt)  # as one prompt its tokens would stand elsewhere in blocks
    assert tree.find((counting(4),)) is None


def test_where_a_prompt_fills_its_blocks_it_and_what_follows_are_as_one() -> None:
    tree = PrefixTree(make_cache(), 10**9)
    prompt, said = counting(32), counting(20, 100)
    keep(tree, prompt)
    keep(tree, said, (prompt,))
    assert tree.match((), (*prompt, *said)).tokens == 52


def test_a_block_that_has_grown_takes_the_place_of_its_beginning() -> None:
    tree = PrefixTree(make_cache(), 10**9)
    keep(tree, counting(5))
    keep(tree, counting(9))
    assert len(tree) == 1
    assert tree.match((), counting(9)).tokens == 9


def test_the_least_recently_used_is_forgotten_first_and_leaves_before_what_they_follow() -> None:
    cache = make_cache()
    tree = PrefixTree(cache, 4 * cache.bytes_per_block)
    first, second = counting(32), (*counting(16), *counting(16, 50))
    keep(tree, first)
    keep(tree, second)
    keep(tree, counting(16, 200))
    assert len(tree) == 4
    tree.match((), first)
    keep(tree, counting(16, 300))
    assert tree.match((), first).tokens == 32
    assert tree.match((), second).tokens == 16  # the leaf went, what it shares stays
    assert tree.match((), counting(16, 200)).tokens == 16


def test_memory_is_bounded_and_counted_in_a_random_life() -> None:
    rng = random.Random(0)
    cache = make_cache()
    limit = 12 * cache.bytes_per_block
    tree = PrefixTree(cache, limit)
    prompts = [counting(rng.randrange(1, 70), 1000 * rng.randrange(4)) for _ in range(12)]
    for _ in range(400):
        prompt = rng.choice(prompts)
        if rng.random() < 0.5:
            keep(tree, prompt)
        else:
            keep(tree, tuple(rng.choice((1, 2)) for _ in range(rng.randrange(1, 40))), (prompt,))
        assert tree.bytes == len(tree) * cache.bytes_per_block <= limit
        assert cache.blocks_in_use == len(tree)
    assert len(tree) > 6
    tree.clear()
    assert (tree.bytes, len(tree), cache.blocks_in_use) == (0, 0, 0)


def test_logits_at_an_end_count_towards_the_memory() -> None:
    cache = make_cache()
    tree = PrefixTree(cache, 10**9)
    blocks = cache._take(1)
    tree.insert((), counting(5), blocks, torch.zeros(90))
    assert tree.bytes == cache.bytes_per_block + 360
    (node,) = tree.match((), counting(5)).nodes
    assert list(node.ends) == [5]


def test_a_bound_below_one_block_keeps_nothing() -> None:
    tree = PrefixTree(make_cache(), 1)
    keep(tree, counting(40))
    assert len(tree) == 0
    assert tree.cache.blocks_in_use == 0


def test_chunks_are_the_tokens_in_order() -> None:
    tokens = counting(3 * BLOCK + 1)
    assert [len(chunk) for chunk in chunks(tokens)] == [BLOCK, BLOCK, BLOCK, 1]
    assert all(one[-1] + 1 == other[0] for one, other in pairwise(chunks(tokens)))
