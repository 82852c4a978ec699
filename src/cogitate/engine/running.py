"""The completions that are being drawn, as arrays in one order: by request, then by seed. Rows of a prompt are neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cogitate.backend import GenerationRequest
from cogitate.device import send
from cogitate.engine.sampling import sample
from cogitate.engine.thinking.budget import Thinking
from cogitate.types import Completion, FinishReason

Ended = list[tuple[tuple[int, int], Completion]]
"""Completions with their order: number of the request, index of the seed."""


class Shaper(Protocol):
    """Changes what one completion is drawn from: penalties, biases, a grammar."""

    def shape(self, token_ids: np.ndarray, logits_V: Tensor) -> None:
        """Change the logits of the next token in place.

        Args:
            token_ids: int32, of the completion so far; only valid during the call.
        """


@dataclass(slots=True, eq=False)
class Sequence:
    """One completion.

    Attributes:
        order: (number of the request, index of the seed); completions are returned in this order.
        row: of the cache.
        changes: (weights version, index of the first token sampled by it), at least one.
        thinking: what is followed of it where the request has a thinking budget.
        seen: by numbers of tokens that may be taken back, what they were sampled from: logits, hidden state.
        shaper: what changes its logits, if anything.
    """

    request: GenerationRequest
    order: tuple[int, int]
    row: int
    changes: list[tuple[int, int]]
    thinking: Thinking | None = None
    seen: dict[int, tuple[Tensor, Tensor | None]] = field(default_factory=dict)
    shaper: Shaper | None = None

    @property
    def seed(self) -> int:
        return self.request.seeds[self.order[1]]

    def note_version(self, version: int, tokens: int) -> None:
        """From the token of this index on, other weights sample."""
        while self.changes and self.changes[-1][1] >= tokens:
            self.changes.pop()
        self.changes.append((version, tokens))

    def completion(self, token_ids: list[int], logprobs: list[float], reason: FinishReason) -> Completion:
        ends = [start for _, start in self.changes[1:]] + [len(token_ids)]
        versions = tuple(
            (version, end - start) for (version, start), end in zip(self.changes, ends, strict=True) if end > start
        )
        forced: tuple[int, ...] = ()
        thought = None
        if self.thinking is not None:
            given = len(self.request.given_ids)
            forced = tuple(number - given for number in self.thinking.forced if number >= given)
            thought = self.thinking.count
        return Completion(
            self.request.id, tuple(token_ids), tuple(logprobs), reason, versions, self.seed, forced, thinking_tokens=thought
        )

    def take_back(self, tokens: int) -> None:
        """No more than so many are left."""
        self.changes = [(version, min(start, tokens)) for version, start in self.changes]


class Running:
    """All running completions.

    Attributes:
        sequences, and the arrays of equal length: rows (int64), last_tokens (int64), seeds (int64), counts (int64, tokens
            sampled so far), given (int64, tokens of the completion that were there before), limits (int64, max_new_tokens),
            temperatures and top_p (float32).
        guided: the indices of those with a thinking budget.
        pausing: the indices of those whose request has `pause_ids`.
        shaped: the indices of those with a shaper.
    """

    FIELDS = ("rows", "last_tokens", "seeds", "counts", "given", "limits", "temperatures", "top_p")

    def __init__(self, cache_rows: int):
        self.sequences: list[Sequence] = []
        self.guided: list[int] = []
        self.pausing: list[int] = []
        self.shaped: list[int] = []
        self.rows, self.last_tokens, self.seeds = (np.zeros(0, np.int64) for _ in range(3))
        self.counts, self.given, self.limits = (np.zeros(0, np.int64) for _ in range(3))
        self.temperatures, self.top_p = np.zeros(0, np.float32), np.zeros(0, np.float32)
        self._token_ids = np.zeros((cache_rows, 0), np.int32)  # of each cache row, sampled so far
        self._logprobs = np.zeros((cache_rows, 0), np.float32)

    def __len__(self) -> int:
        return len(self.sequences)

    def add(self, sequences: list[Sequence]) -> None:
        """Append completions without tokens. They come after all that are running, in order."""
        assert not self.sequences or not sequences or self.sequences[-1].order < sequences[0].order
        params = [sequence.request.params for sequence in sequences]
        new = {
            "rows": [sequence.row for sequence in sequences],
            "last_tokens": [0] * len(sequences),
            "seeds": [sequence.seed for sequence in sequences],
            "counts": [0] * len(sequences),
            "given": [len(sequence.request.given_ids) for sequence in sequences],
            "limits": [each.max_new_tokens for each in params],
            "temperatures": [each.temperature for each in params],
            "top_p": [each.top_p for each in params],
        }
        for name, values in new.items():
            old = getattr(self, name)
            setattr(self, name, np.concatenate((old, np.asarray(values, dtype=old.dtype))))
        self.sequences.extend(sequences)
        self._find_special()

    def sample(self, which: slice, logits_NTV: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The tokens that some completions sample at their next T positions, and their log-probabilities, (N, T).

        Args:
            logits_NTV: may be overwritten.
        """
        count = logits_NTV.shape[1]
        fields: tuple[np.ndarray, ...] = (self.temperatures, self.top_p, self.seeds, self.counts + self.given)
        settings = [values[which] for values in fields]
        if count > 1:
            settings = [np.repeat(values, count) for values in settings]
            settings[3] += np.tile(np.arange(count), len(logits_NTV))
        tokens_X, logprobs_X = sample(
            logits_NTV.flatten(0, 1), *(send(torch.from_numpy(values), logits_NTV.device) for values in settings)
        )
        return tokens_X.view(-1, count).cpu().numpy(), logprobs_X.view(-1, count).cpu().numpy()

    def sample_several(self, counts_N: np.ndarray, logits_XV: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The same for so many next positions of each completion, one after the other: (X,), X the sum of the counts."""
        fields = (self.temperatures, self.top_p, self.seeds, self.counts + self.given)
        settings: list[np.ndarray] = [np.repeat(values, counts_N) for values in fields]
        settings[3] += np.arange(len(settings[3])) - np.repeat(np.cumsum(counts_N) - counts_N, counts_N)
        tokens_X, logprobs_X = sample(logits_XV, *(send(torch.from_numpy(values), logits_XV.device) for values in settings))
        return tokens_X.cpu().numpy(), logprobs_X.cpu().numpy()

    def shape(self, first: int, logits_XV: Tensor, places_N: np.ndarray | None = None) -> None:
        """Let shapers change the logits of the completions from index `first` on.

        Args:
            places_N: where each completion's logits are; None: in the order of completions.
        """
        for index in self.shaped:
            shaper = self.sequences[index].shaper
            if index >= first and shaper is not None:
                place = index - first if places_N is None else int(places_N[index])
                shaper.shape(self.sampled(index), logits_XV[place])

    def record(self, which: slice | np.ndarray, tokens: np.ndarray, logprobs: np.ndarray) -> None:
        """Append a token to each of some completions: a slice of them or different indices."""
        rows, counts = self.rows[which], self.counts[which]
        if len(counts) and (needed := int(counts.max()) + 1) > self._token_ids.shape[1]:
            more = ((0, 0), (0, max(needed, self._token_ids.shape[1] // 2, 64)))
            self._token_ids, self._logprobs = np.pad(self._token_ids, more), np.pad(self._logprobs, more)
        self._token_ids[rows, counts] = tokens
        self._logprobs[rows, counts] = logprobs
        self.last_tokens[which] = tokens
        self.counts[which] = counts + 1

    def token_ids(self, index: int, start: int = 0) -> list[int]:
        """The tokens of a completion so far, from index `start` on, without those that may be taken back."""
        thinking = self.sequences[index].thinking
        end = self.counts[index] - (0 if thinking is None else thinking.revocable)
        tokens: list[int] = self._token_ids[self.rows[index], start : max(end, start)].tolist()
        return tokens

    def by_seed(self, request_id: str, start: int) -> dict[int, list[int]]:
        """`token_ids` of a request's completions, by their seeds."""
        of_request = [(i, each.seed) for i, each in enumerate(self.sequences) if each.request.id == request_id]
        return {seed: self.token_ids(index, start) for index, seed in of_request}

    def by_request(self, starts: Mapping[str, int]) -> dict[str, list[int]]:
        """The same of the one completion of each request that is named, from its own index on, by the request's id."""
        named = [(i, each.request.id) for i, each in enumerate(self.sequences) if each.request.id in starts]
        return {name: self.token_ids(index, starts[name]) for index, name in named}

    def sampled(self, index: int) -> np.ndarray:
        """The tokens of a completion so far, int32; valid until others are recorded."""
        tokens: np.ndarray = self._token_ids[self.rows[index], : self.counts[index]]
        return tokens

    def recorded(self, index: int, end: int | None = None) -> list[int]:
        """The tokens of a completion so far, up to `end`."""
        tokens: list[int] = self._token_ids[self.rows[index], : self.counts[index]][:end].tolist()
        return tokens

    def paused(self) -> np.ndarray:
        """Which have sampled one of their request's `pause_ids` last."""
        paused = np.zeros(len(self), dtype=bool)
        for index in self.pausing:
            paused[index] = int(self.last_tokens[index]) in self.sequences[index].request.pause_ids
        return paused

    def take_back(self, index: int, tokens: int) -> None:
        """Leave so many tokens of a completion; what comes next has to be recorded."""
        self.counts[index] = tokens
        self.sequences[index].take_back(tokens)

    def drop_revocable(self, leaving: np.ndarray) -> None:
        """Completions of these indices are stopped: they go on from before what might have been taken back."""
        for index in leaving.tolist():
            thinking = self.sequences[index].thinking
            if thinking is not None and (count := thinking.drop_revocable()):
                self.take_back(index, int(self.counts[index]) - count)

    def note_version(self, version: int) -> None:
        for sequence, count in zip(self.sequences, self.counts.tolist(), strict=True):
            sequence.note_version(version, count)

    def remove(self, leaving: np.ndarray, reasons: list[FinishReason]) -> list[Completion]:
        """Take out the completions of these indices (ascending) and return them."""
        completions = []
        for index, reason in zip(leaving.tolist(), reasons, strict=True):
            row, count = self.rows[index], self.counts[index]
            token_ids, logprobs = self._token_ids[row, :count].tolist(), self._logprobs[row, :count].tolist()
            completions.append(self.sequences[index].completion(token_ids, logprobs, reason))
        kept = np.ones(len(self), dtype=bool)
        kept[leaving] = False
        for name in self.FIELDS:
            setattr(self, name, getattr(self, name)[kept])
        self.sequences = [sequence for sequence, keep in zip(self.sequences, kept.tolist(), strict=True) if keep]
        self._find_special()
        return completions

    def _find_special(self) -> None:
        self.guided = [index for index, sequence in enumerate(self.sequences) if sequence.thinking is not None]
        self.pausing = [index for index, sequence in enumerate(self.sequences) if sequence.request.pause_ids]
        self.shaped = [index for index, sequence in enumerate(self.sequences) if sequence.shaper is not None]
