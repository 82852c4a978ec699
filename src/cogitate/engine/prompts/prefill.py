"""Reads what completions go on from: prompts, then what is given of the completions, each in blocks of its own.

With a prefix tree only what is not there is read. Requests that are read together and begin alike wait for each other where a
block or all of one is saved by it.

What is long may be read in pieces, beside the steps of running completions or between them. With the kernels the result is the
same to the bit wherever it is cut and whatever is read with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeVar

import torch
from torch import Tensor

from cogitate.engine.batch import Reading
from cogitate.engine.decode import PREFILL_TOKENS, Decoder
from cogitate.engine.decode_plain import PlainDecoder
from cogitate.engine.prompts.prefix_tree import PrefixTree, Tokens, common_prefix
from cogitate.engine.running import Running
from cogitate.engine.scheduler import Group
from cogitate.engine.speculation import Speculation
from cogitate.errors import ConfigError, DataError
from cogitate.model.kv_cache import BLOCK, KVCache, blocks_of

T = TypeVar("T")


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


@dataclass(slots=True, eq=False)
class Pieces(Reading):
    """What is read together: of each part something, none twice."""

    parts: Sequence[Part] = ()


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

    def run(self, groups: Sequence[Group]) -> None:
        """Read prompts and what is given, so that the first tokens of their completions can be sampled, as far as something is
        `left`."""
        mtp_cache = None if self.speculation is None else self.speculation.cache
        while (pieces := self._next_pieces(groups)) is not None:
            before = [part.group.hidden_D for part in pieces.parts if part.path and part.group.hidden_D is not None]
            before_PD = torch.stack(before) if before else None
            self._note(pieces, *self.decoder.prefill(pieces.prompts, self.cache, pieces.rows, mtp_cache, before_PD))

    @property
    def goes_beside(self) -> bool:
        """Whether prompts can be read in the passes of running completions: with the kernels, which have a token's result the
        same to the bit there, and without the MTP block."""
        return isinstance(self.decoder, Decoder) and self.speculation is None

    def run_beside(self, groups: Sequence[Group], step: Callable[[], T]) -> T:
        """Read what goes into one pass of the decoder together with a step of running completions, and nothing more.

        Args:
            step: of the decoder.
        """
        assert isinstance(self.decoder, Decoder)
        self.left = PREFILL_TOKENS if self.left is None else min(self.left, PREFILL_TOKENS)
        pieces = self._next_pieces(groups)
        self.decoder.read_beside(pieces)
        try:
            result = step()
        finally:
            self.decoder.read_beside(None)
        if pieces is not None:
            assert pieces.logits_PV is not None, "the step went without them"
            self._note(pieces, pieces.logits_PV)
        self.left = 0
        return result

    def _next_pieces(self, groups: Sequence[Group]) -> Pieces | None:
        """What of these groups can be read together now; None where all is read or nothing is `left`."""
        while self.left != 0 and (parts := self._unread(groups)):
            now = parts if self.prefixes is None else apart(parts, self.prefixes)
            if (pieces := self._cut(now)).parts:
                return pieces
        return None

    def _note(self, pieces: Pieces, logits_PV: Tensor, hidden_PD: Tensor | None = None) -> None:
        """These have been read.

        Args:
            logits_PV, hidden_PD: as `Decoder.prefill` returns them.
        """
        for index, (part, tokens) in enumerate(zip(pieces.parts, pieces.prompts, strict=True)):
            part.group.logits_V = logits_PV[index]
            part.group.hidden_D = None if hidden_PD is None else hidden_PD[index]
            self.read += len(tokens)
            self._keep_whole(part)

    def whole(self, groups: Sequence[Group]) -> int:
        """How many of the first of these groups are read."""
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

    def _unread(self, groups: Sequence[Group]) -> list[Part]:
        """Prompts that are not read, or where all are, what is given and is not."""
        prompts = [Part(group, (), tuple(group.request.prompt_ids), not group.request.given_ids) for group in groups]
        if unread := [part for part in prompts if self._held_of(part) < len(part.tokens)]:
            return unread
        given = [
            Part(part.group, (part.tokens,), tuple(part.group.request.given_ids), True)
            for part in prompts
            if part.group.request.given_ids
        ]
        unread = [part for part in given if self._held_of(part) < len(part.tokens)]
        for part in unread:
            self.cache.fork(part.row, [])  # what follows begins a block
        return unread

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

    def _cut(self, parts: Sequence[Part]) -> Pieces:
        """What is missing of parts, as far as something is `left`."""
        cut: list[tuple[Part, Tokens]] = []
        for part in parts:
            if self.left == 0:
                break
            rest = part.tokens[self._take_known(part) :][: self.left]
            self.left = None if self.left is None else self.left - len(rest)
            if rest:
                cut.append((part, rest))
            else:
                self._keep_whole(part)
        return Pieces([rest for _, rest in cut], [part.row for part, _ in cut], parts=[part for part, _ in cut])

    def _keep_whole(self, part: Part) -> None:
        """Keep a part's blocks for others once it is read."""
        if self._held_of(part) == len(part.tokens):
            self._keep(part)

    def _keep(self, part: Part) -> None:
        """Keep a part's blocks for others."""
        if self.prefixes is None:
            return
        count = blocks_of(len(part.tokens))
        logits_V: Tensor | None = part.group.logits_V if part.is_last else None
        self.prefixes.insert(part.path, part.tokens, self.cache.blocks_of_row(part.row)[-count:], logits_V)


def check_reading(prefix_bytes: int, prefill_tokens: int, ngram_drafts: int, *, speculative: bool) -> None:
    """Raises DataError for negative ones, ConfigError for what the MTP block does not go with."""
    for name, value in (("prefix_bytes", prefix_bytes), ("prefill_tokens", prefill_tokens)):
        if value < 0:
            raise DataError(f"{name} = {value}: must not be negative")
    if prefix_bytes and speculative:
        raise ConfigError("prefixes are not kept for the MTP block: set runtime.speculative = false or keep no prefixes")
    if prefill_tokens and speculative:
        raise ConfigError("the MTP block reads whole prompts: set speculative = false or prefill_tokens = 0")
    if ngram_drafts and speculative:
        raise ConfigError("drafts come by n-gram lookup or from the MTP block: set ngram_drafts = 0 or speculative = false")


def apart(parts: Sequence[Part], prefixes: PrefixTree) -> list[Part]:
    """Those to be read now: others wait for one of them because they begin like it."""
    now: list[Part] = []
    for part in parts:
        known = prefixes.match(part.path, part.tokens).tokens
        if not any(saves(part, other, known) for other in now):
            now.append(part)
    return now


def saves(part: Part, other: Part, known: int) -> bool:
    """Whether a part, of which so many tokens are there, has less to read after another one."""
    if part.path != other.path:
        return False
    common = common_prefix(part.tokens, other.tokens)
    return common > known and (common - known >= BLOCK or common == min(len(part.tokens), len(other.tokens)))
