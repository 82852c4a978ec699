"""Settles each token of a completion with a thinking budget: the sampled one, or one that is set in its place."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cogitate.backend import GenerationRequest
from cogitate.engine.running import Running, Sequence
from cogitate.engine.sampling import GREEDY_BELOW
from cogitate.engine.speculation import Speculation
from cogitate.engine.thinking.budget import Thinking
from cogitate.model.kv_cache import KVCache
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking_budget import token_bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """A completion's next token.

    Attributes:
        taken_back: how many tokens are, one sampled for this place included; 0: none.
        hidden_D: the hidden state before the token, where completions are drafted.
    """

    token: int
    logprob: float
    is_set: bool
    taken_back: int
    hidden_D: Tensor | None


class Guide:
    """The completions of an engine that have a budget.

    Attributes:
        tokens_set: since the engine was made. unused: tokens that were sampled for places where one was to be set.
    """

    def __init__(
        self,
        tokenizer: Tokenizer | None,
        ends: np.ndarray,
        running: Running,
        cache: KVCache,
        speculation: Speculation | None,
    ):
        """
        Args:
            ends: by token of the vocabulary, whether it ends a completion.
        """
        self._tokenizer, self._ends = tokenizer, ends
        self._running, self._cache, self._speculation = running, cache, speculation
        self._texts: list[bytes] | None = None  # of the tokens
        self.tokens_set = self.unused = 0

    def fault(self, request: GenerationRequest) -> str | None:
        """Why a request's budget cannot be followed; None where it can, or where there is none."""
        return budget_fault(request, self._texts_for(request))

    def thinking_of(self, request: GenerationRequest) -> Thinking | None:
        """The thinking of one of its completions, after what is given."""
        if request.thinking is None:
            return None
        texts = self._texts_for(request)
        assert texts is not None
        thinking = Thinking(request.thinking, texts, request.prompt_ids)
        thinking.replay(request.given_ids, request.given_forced)
        return thinking

    def settle(
        self, index: int, place: int, tokens_N: np.ndarray, logprobs_N: np.ndarray, logits_V: Tensor, hidden_D: Tensor | None
    ) -> Settled:
        """Put the token that comes next in a running completion in its place among what was sampled."""
        token = int(tokens_N[place])
        settled = settle(
            self._running.sequences[index], token, float(logprobs_N[place]),
            ends=bool(self._ends[token]), logits_V=logits_V, hidden_D=hidden_D,
        )  # fmt: skip
        tokens_N[place], logprobs_N[place] = settled.token, settled.logprob
        self.tokens_set += settled.is_set
        self.unused += settled.is_set and not settled.taken_back
        return settled

    def take_back(self, index: int, settled: Settled) -> None:
        """Take back tokens that were recorded before the settled one."""
        if settled.taken_back <= 1:
            return
        running = self._running
        tokens = int(running.counts[index]) - settled.taken_back + 1
        running.take_back(index, tokens)
        row = int(running.rows[index])
        length = len(running.sequences[index].request.context_ids) + tokens
        self._cache.take_back(row, length)
        if self._speculation is not None:
            assert settled.hidden_D is not None
            self._speculation.take_back(row, length, settled.hidden_D)

    def _texts_for(self, request: GenerationRequest) -> list[bytes] | None:
        """The bytes of each token, made for the first request that needs them."""
        if request.thinking is not None and self._texts is None and self._tokenizer is not None:
            self._texts = token_bytes(self._tokenizer, len(self._ends))
        return self._texts


def settle(
    sequence: Sequence, token: int, logprob: float, *, ends: bool, logits_V: Tensor, hidden_D: Tensor | None = None
) -> Settled:
    """What becomes of a sampled token.

    Args:
        ends: the token ends the completion.
        logits_V: what it was sampled from; kept as long as tokens may be taken back to here.
        hidden_D: the hidden state that these were made of.
    """
    thinking, seen = sequence.thinking, sequence.seen
    assert thinking is not None
    to_set, taken_back = thinking.next_set(), 0
    if to_set is None:
        if thinking.watches:
            seen[thinking.length] = logits_V, hidden_D
        taken_back = thinking.take(token, ends=ends)
        if not taken_back:
            for number in [number for number in seen if number < thinking.length - thinking.revocable]:
                del seen[number]
            return Settled(token, logprob, False, 0, hidden_D)
        logits_V, hidden_D = seen[thinking.length]
        to_set = thinking.next_set()
        assert to_set is not None
    seen.clear()
    thinking.take(to_set)
    return Settled(to_set, logprob_of(logits_V, to_set, sequence.request.params.temperature), True, taken_back, hidden_D)


def logprob_of(logits_V: Tensor, token: int, temperature: float) -> float:
    """The log-probability of a token that is set, at the sampling temperature; at 1 where that is greedy."""
    scaled_V = logits_V.float() / (1.0 if temperature < GREEDY_BELOW else temperature)
    return float(torch.log_softmax(scaled_V, dim=-1)[token])


def budget_fault(request: GenerationRequest, texts: SequenceOf[bytes] | None) -> str | None:
    """Why a request's thinking budget cannot be followed; None where it can, or where there is none.

    Args:
        texts: as `Thinking` has them; None: the engine was not given a tokenizer.
    """
    budget = request.thinking
    forced = request.given_forced
    if sorted(set(forced)) != list(forced) or any(not 0 <= number < len(request.given_ids) for number in forced):
        return f"given_forced = {forced}: must be ascending places in given_ids"
    if budget is None:
        return "given_forced has no effect without a thinking budget: leave it out" if forced else None
    if texts is None:
        return "a thinking budget needs an engine that was made with a tokenizer"
    if fault := budget.fault():
        return fault
    tag = budget.tags[1].encode()
    every = (*budget.closing_ids, *budget.wait_ids, *(token for ids in budget.rest_ids for token in ids))
    if foreign := [token for token in every if not 0 <= token < len(texts)]:
        return f"token {foreign[0]} of the thinking budget is none of the model's {len(texts)}"
    if len(budget.rest_ids) != len(tag):
        return f"rest_ids has {len(budget.rest_ids)} entries: must have one for each of the {len(tag)} bytes of the closing tag"

    def text(ids: SequenceOf[int]) -> bytes:
        return b"".join(texts[token] for token in ids)

    if budget.at_most is not None and (not text(budget.closing_ids).endswith(tag) or text(budget.closing_ids).count(tag) != 1):
        return f"closing_ids must end in {budget.tags[1]!r} and hold it once"
    if tag in text(budget.wait_ids):
        return f"wait_ids must not hold {budget.tags[1]!r}"
    if any(ids and text(ids) != tag[had:] for had, ids in enumerate(budget.rest_ids)):
        return f"rest_ids must be what is left of {budget.tags[1]!r}"
    return None
