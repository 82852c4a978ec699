"""Reads what completions go on from: prompts, then what is given of the completions, each in blocks of its own.

With a prefix tree only what is not there is read. Requests that are read together and begin alike wait for each other where a
block or all of one is saved by it.

What is long may be read in pieces, between the steps of running completions. With the kernels the result is the same to the bit
wherever it is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from cogitate.engine.decode import Decoder
from cogitate.engine.decode_plain import PlainDecoder
from cogitate.engine.prefix_tree import PrefixTree, Tokens, common_prefix
from cogitate.engine.running import Running
from cogitate.engine.scheduler import Group
from cogitate.engine.speculation import Speculation
from cogitate.errors import ConfigError, DataError
from cogitate.model.kv_cache import BLOCK, KVCache, blocks_of


@dataclass(frozen=True, slots=True)
class Part:
    """What is read of a request at once, into the row of its prompt.

    Attributes:
        path: what comes before it, as in the tree.
        is_last: the first token of the completions is sampled after it.
    """

    group: Group
    path: tuple[Tokens, ...]
    tokens: Tokens
    is_last: bool

    @property
    def row(self) -> int:
        assert self.group.prompt_row is not None
        return self.group.prompt_row


class Prefill:
    """Fills the rows of prompts.

    Attributes:
        read, shared: tokens that were computed, and those that were there.
        left: how many may still be computed; None: as many as there are.
    """

    def __init__(
        self, decoder: Decoder | PlainDecoder, cache: KVCache, speculation: Speculation | None, prefixes: PrefixTree | None
    ):
        self.decoder, self.cache, self.speculation, self.prefixes = decoder, cache, speculation, prefixes
        self.read = self.shared = 0
        self.left: int | None = None

    def run(self, groups: Sequence[Group]) -> int:
        """Read prompts and what is given, so that the first tokens of their completions can be sampled; how many of the first
        groups are whole. All are, unless nothing is `left`."""
        requests = [group.request for group in groups]
        self._read_parts(
            [Part(group, (), tuple(one.prompt_ids), not one.given_ids) for group, one in zip(groups, requests, strict=True)]
        )
        going_on = [group for group in groups if group.request.given_ids and self._held(group) >= len(group.request.prompt_ids)]
        for group in going_on:
            assert group.prompt_row is not None
            self.cache.fork(group.prompt_row, [])  # what follows begins a block
        self._read_parts(
            [Part(group, (tuple(group.request.prompt_ids),), tuple(group.request.given_ids), True) for group in going_on]
        )
        return sum(1 for _ in takewhile(lambda group: self._held(group) == len(group.request.context_ids), groups))

    def keep_running(self, running: Running, groups: Sequence[Group]) -> None:
        """Let requests go on from completions that are running."""
        prompts = {group.request.prompt_ids for group in groups if group.request.given_ids}
        for index, sequence in enumerate(running.sequences if self.prefixes is not None and prompts else ()):
            if sequence.request.prompt_ids in prompts:
                self.keep(running, index)

    def keep(self, running: Running, index: int) -> None:
        """Keep what is cached of a running completion, unless a part is of older weights."""
        sequence, row = running.sequences[index], int(running.rows[index])
        if self.prefixes is None or len(sequence.changes) > 1:
            return
        prompt = tuple(sequence.request.prompt_ids)
        said = (*sequence.request.given_ids, *running.recorded(index))[: int(self.cache.lengths[row]) - len(prompt)]
        blocks, of_prompt = self.cache.blocks_of_row(row), blocks_of(len(prompt))
        self.prefixes.insert((), prompt, blocks[:of_prompt])
        self.prefixes.insert((prompt,), said, blocks[of_prompt : of_prompt + blocks_of(len(said))])

    def forget(self) -> None:
        """The weights are others: what is kept is of no use."""
        if self.prefixes is not None:
            self.prefixes.clear()

    def _held(self, group: Group) -> int:
        """Tokens in its row."""
        assert group.prompt_row is not None
        return int(self.cache.lengths[group.prompt_row])

    def _held_of(self, part: Part) -> int:
        """Tokens of a part and behind it that are in its row."""
        return max(0, self._held(part.group) - sum(map(len, part.path)))

    def _read_parts(self, parts: Sequence[Part]) -> None:
        parts = [part for part in parts if self._held_of(part) < len(part.tokens)]
        while parts and self.left != 0:
            now, later = ([*parts], []) if self.prefixes is None else apart(parts, self.prefixes)
            self._read_now(now)
            parts = later

    def _take_known(self, part: Part) -> int:
        """Let a part's row begin with what is there of it; how many tokens that is."""
        if self.prefixes is None or self._held_of(part):
            return self._held_of(part)
        match = self.prefixes.match(part.path, part.tokens)
        if match.tokens == len(part.tokens) and part.is_last:
            end = None if match.copied else match.nodes[-1].ends.get(len(match.nodes[-1].tokens))
            if end is None:  # the last token has to be read for the one after it
                match = self.prefixes.match(part.path, part.tokens[:-1], goes_on=True)
            part.group.logits_V = end
        self.cache.append_shared(part.row, [node.block for node in match.nodes], match.tokens - match.lanes)
        if match.copied is not None:
            self.cache.append_copied(part.row, match.copied.block, match.lanes)
        self.shared += match.tokens
        part.group.shared += match.tokens
        return match.tokens

    def _read_now(self, parts: Sequence[Part]) -> None:
        """Read what is missing of parts, in one batch, as far as something is `left`."""
        missing: list[tuple[Part, Tokens]] = []
        for part in parts:
            if self.left == 0:
                break
            rest = part.tokens[self._take_known(part) :][: self.left]
            self.left = None if self.left is None else self.left - len(rest)
            if rest:
                missing.append((part, rest))
        if missing:
            rows, tokens = [part.row for part, _ in missing], [rest for _, rest in missing]
            mtp_cache = None if self.speculation is None else self.speculation.cache
            before = [part.group.hidden_D for part, _ in missing if part.path and part.group.hidden_D is not None]
            before_PD = torch.stack(before) if before else None
            logits_PV, hidden_PD = self.decoder.prefill(tokens, self.cache, rows, mtp_cache, before_PD)
            for index, (part, rest) in enumerate(missing):
                part.group.logits_V = logits_PV[index]
                part.group.hidden_D = None if hidden_PD is None else hidden_PD[index]
                self.read += len(rest)
        for part in parts:
            if self._held_of(part) == len(part.tokens):
                self._keep(part)

    def _keep(self, part: Part) -> None:
        """Keep a part's blocks for others."""
        if self.prefixes is None:
            return
        count = blocks_of(len(part.tokens))
        logits_V: Tensor | None = part.group.logits_V if part.is_last else None
        self.prefixes.insert(part.path, part.tokens, self.cache.blocks_of_row(part.row)[-count:], logits_V)


def check_reading(prefix_bytes: int, prefill_tokens: int, *, speculative: bool) -> None:
    """Raises DataError for negative ones, ConfigError for what the MTP block does not go with."""
    for name, value in (("prefix_bytes", prefix_bytes), ("prefill_tokens", prefill_tokens)):
        if value < 0:
            raise DataError(f"{name} = {value}: must not be negative")
    if prefix_bytes and speculative:
        raise ConfigError("prefixes are not kept for the MTP block: set runtime.speculative = false or keep no prefixes")
    if prefill_tokens and speculative:
        raise ConfigError("the MTP block reads whole prompts: set speculative = false or prefill_tokens = 0")


def apart(parts: Sequence[Part], prefixes: PrefixTree) -> tuple[list[Part], list[Part]]:
    """Those to be read now, and those that wait for one of them because they begin like it."""
    now: list[Part] = []
    later: list[Part] = []
    for part in parts:
        known = prefixes.match(part.path, part.tokens).tokens
        (later if any(saves(part, other, known) for other in now) else now).append(part)
    return now, later


def saves(part: Part, other: Part, known: int) -> bool:
    """Whether a part, of which so many tokens are there, has less to read after another one."""
    if part.path != other.path:
        return False
    common = common_prefix(part.tokens, other.tokens)
    return common > known and (common - known >= BLOCK or common == min(len(part.tokens), len(other.tokens)))
