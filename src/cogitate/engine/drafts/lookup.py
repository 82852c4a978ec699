"""Drafts by n-gram lookup: a completion's last tokens are looked for in its own text and in completions of the same prompt, and
what followed them there is the draft (prompt lookup decoding, Saxena 2023; siblings hold the same steps in other words).

The model reads all drafts of a step together with each completion's last token. Its own tokens are drawn as without drafts,
from the same number for the same seed and position (sampling.py), and drafts are kept as long as they are these tokens. So
completions are the same as without, whatever was drafted; only how many tokens a step gives depends on the drafts.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from cogitate.engine.running import Running, Sequence
from cogitate.errors import ConfigError

MOST_DRAFTS = 15  # tokens of a completion in a step: with its last one they fill the rows of a tile
DRAFTED_AT_ONCE = 64  # tokens in a step: where more completions run, arithmetic decides, and nothing is drafted
LEAST_MATCH, MOST_MATCH = 2, 8  # tokens that have to stand there alike, and that are compared
KEPT_PROMPTS, KEPT_TOKENS = 64, 16_384  # prompts whose finished completions are kept, and tokens of each
SEPARATOR = -1  # between completions
BETWEEN = np.full(1, SEPARATOR, np.int32)
NOTHING = np.zeros(0, np.int32)


@dataclass(slots=True, eq=False)
class Siblings:
    """Finished completions of a prompt, one after the other, each with SEPARATOR behind it."""

    tokens: np.ndarray = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True, slots=True)
class Known:
    """Where a running completion's drafts are looked for, beside what it has sampled: its prompt with what was given, and its
    siblings."""

    context: np.ndarray
    siblings: Siblings


class Lookup:
    """
    Attributes:
        drafted, right: tokens drafted since the engine was made, and those that became tokens of completions.
    """

    def __init__(self, most: int):
        """
        Args:
            most: tokens that are drafted for a completion in a step.

        Raises:
            ConfigError: it is not from 1 to MOST_DRAFTS.
        """
        if not 1 <= most <= MOST_DRAFTS:
            raise ConfigError(f"ngram_drafts = {most}: must be from 1 to {MOST_DRAFTS}, or 0 for no drafts")
        self.most = most
        self.drafted = self.right = 0
        self._finished: OrderedDict[tuple[int, ...], Siblings] = OrderedDict()  # by prompt, the one used last behind
        self._known: dict[tuple[int, int], Known] = {}  # of running completions, by their order

    def drafts(self, running: Running) -> list[np.ndarray]:
        """Guesses at the next tokens of each running completion, int32, perhaps none.

        A completion whose next token may be another than the sampled one (a thinking budget, a shaper) is not drafted for, and
        none gets more than its limit leaves room for.
        """
        most = min(self.most, DRAFTED_AT_ONCE // max(len(running), 1))
        if not most:
            return [NOTHING] * len(running)
        known = [self._known_of(sequence) for sequence in running.sequences]
        pools: dict[int, list[np.ndarray]] = {}
        for index, each in enumerate(known):
            pools.setdefault(id(each.siblings), [each.siblings.tokens]).extend((running.sampled(index), BETWEEN))
        pool_of = {key: np.concatenate(parts) for key, parts in pools.items()}
        rooms = np.minimum(running.limits - running.counts - 1, most).tolist()
        found = []
        for index, (sequence, each) in enumerate(zip(running.sequences, known, strict=True)):
            free = sequence.thinking is None and sequence.shaper is None
            own = np.concatenate((each.context, running.sampled(index)))
            found.append(continuation(own, pool_of[id(each.siblings)], rooms[index]) if free and rooms[index] > 0 else NOTHING)
        return found

    def note(self, drafted: int, right: int) -> None:
        """What has become of a step's drafts."""
        self.drafted += drafted
        self.right += right

    def keep(self, sequence: Sequence, tokens: np.ndarray) -> None:
        """A completion leaves: its text remains for its siblings."""
        known = self._known.pop(sequence.order, None)
        if known is not None and len(tokens):
            known.siblings.tokens = np.concatenate((known.siblings.tokens, tokens, BETWEEN))[-KEPT_TOKENS:]

    def forget(self) -> None:
        """New weights write other texts: drafts come from what they write themselves."""
        self._finished.clear()
        for known in self._known.values():
            known.siblings.tokens = NOTHING

    def _known_of(self, sequence: Sequence) -> Known:
        known = self._known.get(sequence.order)
        if known is None:
            prompt = sequence.request.prompt_ids
            siblings = self._finished.setdefault(prompt, Siblings())
            self._finished.move_to_end(prompt)
            if len(self._finished) > KEPT_PROMPTS:
                self._finished.popitem(last=False)
            known = Known(np.array(sequence.request.context_ids, dtype=np.int32), siblings)
            self._known[sequence.order] = known
        return known


def continuation(own: np.ndarray, others: np.ndarray, most: int) -> np.ndarray:
    """What followed a text's last tokens where they stood before: after the longest match; of equal ones in the text itself.

    Args:
        own: int32, the text that goes on.
        others: int32, further texts, each with SEPARATOR behind it.
        most: tokens that are wanted.
    """
    tail = own[-MOST_MATCH:]
    (length, drafts), (other_length, other_drafts) = (_match(text, tail, most) for text in (own, others))
    if other_length > length:
        length, drafts = other_length, other_drafts
    return drafts if length >= LEAST_MATCH else NOTHING


def _match(text: np.ndarray, tail: np.ndarray, most: int) -> tuple[int, np.ndarray]:
    """How many of the tail's last tokens stand in a text with something behind them, and what that is.

    Of equal matches the latest that is followed by as many tokens as are wanted, so that a short period is not cut off."""
    ends = np.flatnonzero(text[:-1] == tail[-1])
    ends = ends[text[ends + 1] != SEPARATOR]
    if not len(ends):
        return 0, NOTHING
    length = 1
    while length < len(tail):
        longer = ends[ends >= length]
        longer = longer[text[longer - length] == tail[-1 - length]]
        if not len(longer):
            break
        ends, length = longer, length + 1
    whole = ends[ends + most < len(text)]
    first = int(whole[-1] if len(whole) else ends[0]) + 1
    follows = text[first : first + most]
    separators = np.flatnonzero(follows == SEPARATOR)
    return length, follows[: separators[0]] if len(separators) else follows
