"""Prefixes that have been read before, as a tree of cached blocks, least recently used forgotten first.

A node is a block of a row: up to 16 tokens and where their keys and values are. A path from the root is a prompt, cut into
blocks of 16. Where it ends within a block its node ends, too, and what completions went on with begins new blocks below it, as
in a row of the cache (kv_cache.py). So keys and values are at the same places of their blocks in every row that has them: sums
run in the same order, and a completion is the same to the bit whoever computed its prefix, by prefill or by decoding.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from torch import Tensor

from cogitate.model.kv_cache import BLOCK, KVCache

Tokens = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Node:
    """A cached block, after those of its parents.

    Attributes:
        ends: logits of the token after so many of its tokens, where a request ended there.
    """

    tokens: Tokens
    block: int
    parent: Node | None = None
    children: dict[Tokens, Node] = field(default_factory=dict)
    ends: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """How much of some tokens is there.

    Attributes:
        nodes: blocks that are used as they are.
        copied: a block of whose tokens the first `lanes` are, which has to be copied; None: there is none.
    """

    nodes: list[Node]
    copied: Node | None
    lanes: int

    @property
    def tokens(self) -> int:
        return sum(len(node.tokens) for node in self.nodes) + self.lanes


class PrefixTree:
    """The blocks that are kept, of one cache.

    Attributes:
        bytes: memory of what is kept: blocks, those that rows use as well included, and logits. At most `max_bytes` after each
            `insert`.
    """

    def __init__(self, cache: KVCache, max_bytes: int):
        self.cache, self.max_bytes = cache, max_bytes
        self.bytes = 0
        self._root = Node((), -1)
        self._order: OrderedDict[int, Node] = OrderedDict()  # by use, the oldest first; a node comes before its parent

    def __len__(self) -> int:
        return len(self._order)

    def find(self, path: Sequence[Tokens]) -> Node | None:
        """The node where these parts end, each cut into blocks of its own: ((), ...) is the root; None where it is not kept."""
        node: Node | None = self._root
        for tokens in path:
            for chunk in chunks(tokens):
                node = node.children.get(chunk) if node is not None else None
        return node

    def match(self, path: Sequence[Tokens], tokens: Tokens, *, goes_on: bool = False) -> Match:
        """What is there of some tokens that follow a path. Nothing is changed but the order of use.

        Args:
            goes_on: others are written behind them, so a block that is partly empty has to be copied.
        """
        node, nodes, rest = self.find(path), [], tokens
        while node is not None and rest and (child := node.children.get(rest[:BLOCK])) is not None:
            if goes_on and len(child.tokens) < BLOCK:
                break
            nodes.append(child)
            node, rest = child, rest[BLOCK:]
        copied, lanes = None, 0
        for child in node.children.values() if node is not None and rest else ():
            if (common := common_prefix(child.tokens, rest)) > lanes:
                copied, lanes = child, common
        if copied is not None or nodes:
            self._touch(copied or nodes[-1])
        return Match(nodes, copied, lanes)

    def insert(self, path: Sequence[Tokens], tokens: Tokens, blocks: Sequence[int], logits_V: Tensor | None = None) -> None:
        """Keep the blocks of some tokens that follow a path, if that is kept itself.

        Args:
            logits_V: of the token after them.
        """
        node = self.find(path)
        if node is None:
            return
        for chunk, block in zip(chunks(tokens), blocks, strict=True):
            child = node.children.get(chunk)
            if child is None:
                child = self._add(node, chunk, block)
            node = child
        if logits_V is not None and len(node.tokens) not in node.ends and node is not self._root:
            node.ends[len(node.tokens)] = logits_V.clone()
            self.bytes += size_of(logits_V)
        self._touch(node)
        while self.bytes > self.max_bytes:
            self._forget(next(iter(self._order.values())))

    def clear(self) -> None:
        """Forget everything: the weights have changed."""
        while self._order:
            self._forget(next(iter(self._order.values())))

    def _add(self, parent: Node, chunk: Tokens, block: int) -> Node:
        for shorter in [child for key, child in parent.children.items() if key == chunk[: len(key)] and not child.children]:
            if not shorter.ends:  # it is all in the new one
                self._forget(shorter)
        node = Node(chunk, block, parent)
        parent.children[chunk] = node
        self._order[id(node)] = node
        self.cache.hold([block])
        self.bytes += self.cache.bytes_per_block
        return node

    def _touch(self, node: Node) -> None:
        at: Node | None = node
        while at is not None and at is not self._root:
            self._order.move_to_end(id(at))
            at = at.parent

    def _forget(self, node: Node) -> None:
        assert node.parent is not None
        assert not node.children, f"{len(node.children)} nodes hang on it"
        del node.parent.children[node.tokens]
        del self._order[id(node)]
        self.cache.release([node.block])
        self.bytes -= self.cache.bytes_per_block + sum(size_of(logits_V) for logits_V in node.ends.values())


def chunks(tokens: Tokens) -> list[Tokens]:
    """The tokens of each block; the last may be partly empty."""
    return [tokens[first : first + BLOCK] for first in range(0, len(tokens), BLOCK)]


def common_prefix(first: Sequence[Any], second: Sequence[Any]) -> int:
    """How many elements two sequences begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def size_of(tensor: Tensor) -> int:
    return tensor.numel() * tensor.itemsize
