"""From a step's logits to tokens of the running completions: one each, or more where drafts were right."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from cogitate.engine.decode import Decoder
from cogitate.engine.decode_plain import PlainDecoder
from cogitate.engine.drafts.lookup import Lookup
from cogitate.engine.running import Running
from cogitate.engine.speculation import Speculation
from cogitate.engine.steps.device import make_steps
from cogitate.engine.thinking.guided import Guide
from cogitate.model.kv_cache import KVCache


class Taking:
    """
    Attributes:
        steps: what computes the logits.
        lookup: drafts by n-gram lookup; None: there are none.
        drawn: tokens that were sampled for completions.
        advanced, taken: how often steps advanced a completion, and the tokens that they gave.
    """

    def __init__(
        self,
        decoder: Decoder | PlainDecoder,
        cache: KVCache,
        running: Running,
        guide: Guide,
        ends: np.ndarray,
        *,
        speculation: Speculation | None,
        lookup: Lookup | None,
        captured: bool = False,
    ):
        """
        Args:
            ends: by token of the vocabulary, whether it ends a completion.
            captured: steps are CUDA graphs.

        Raises:
            ConfigError: steps of this model cannot be captured.
        """
        self.steps = make_steps(decoder, cache, running, speculation, captured=captured)
        self.lookup = lookup
        self.drawn = self.advanced = self.taken = 0
        self._decoder, self._cache, self._running, self._guide, self._ends = decoder, cache, running, guide, ends
        self._speculation = speculation

    def step(self, units: np.ndarray) -> None:
        """Advance every running completion.

        Args:
            units: as `share_units` gives it for the running rows.
        """
        before, self.advanced = self.drawn, self.advanced + len(self._running)
        if self._speculation is not None:
            self._take_drafted(units)
        elif self.lookup is not None:
            self._take_looked_up(self.lookup, units)
        else:
            self.take(0, self.steps.logits(units))
        self.taken += self.drawn - before

    def take(self, first: int, logits_NV: Tensor) -> None:
        """Sample a token for each running completion from index `first` on."""
        running, speculation = self._running, self._speculation
        running.shape(first, logits_NV)
        guided = [index for index in running.guided if index >= first]
        kept = {index: logits_NV[index - first].clone() for index in guided}
        tokens_N1, logprobs_N1 = self.steps.sample(slice(first, None), logits_NV[:, None])
        tokens_N, logprobs_N = tokens_N1[:, 0], logprobs_N1[:, 0]
        for index, logits_V in kept.items():
            hidden_D = None if speculation is None else speculation.hidden_before(int(running.rows[index]))
            settled = self._guide.settle(index, index - first, tokens_N, logprobs_N, logits_V, hidden_D)
            self._guide.take_back(index, settled)
        running.record(slice(first, None), tokens_N, logprobs_N)
        self.drawn += len(tokens_N)

    def tokens_per_step(self) -> float | None:
        """By how many tokens a step advanced a completion, on average since this was last asked; None where nothing is drafted
        or no step was taken."""
        drafts = self._speculation is not None or self.lookup is not None
        found = self.taken / self.advanced if drafts and self.advanced else None
        self.taken = self.advanced = 0
        return found

    def ended(self) -> tuple[np.ndarray, np.ndarray]:
        """Which running completions have sampled an end token, and which have ended, by it, by a pause or by their limit."""
        running = self._running
        stopped = self._ends[running.last_tokens]
        return stopped, stopped | running.paused() | (running.counts >= running.limits)

    def _take_drafted(self, units: np.ndarray) -> None:
        """Sample a token for each running completion, and one more where the first was drafted by the MTP block."""
        running, speculation = self._running, self._speculation
        assert speculation is not None
        logits_N2V, hidden_N2D = self.steps.drafted_logits(units)
        kept = {index: (logits_N2V[index].clone(), hidden_N2D[index].clone()) for index in running.guided}
        tokens_N2, logprobs_N2, drafts_N = self.steps.sample_drafted(logits_N2V)
        settled = {
            index: self._guide.settle(index, index, tokens_N2[:, 0], logprobs_N2[:, 0], logits_2V[0], hidden_2D[0])
            for index, (logits_2V, hidden_2D) in kept.items()
        }
        right_N = tokens_N2[:, 0] == drafts_N
        right_N[[index for index, each in settled.items() if each.taken_back > 1]] = False
        self._cache.lengths.numpy()[running.rows[~right_N]] -= 1
        self.steps.note(right_N, hidden_N2D)
        for index, each in settled.items():
            self._guide.take_back(index, each)
        running.record(slice(None), tokens_N2[:, 0], logprobs_N2[:, 0])
        going_on = np.flatnonzero(right_N & ~self.ended()[1])
        for index in set(going_on.tolist()) & kept.keys():
            logits_2V, hidden_2D = kept[index]
            second = self._guide.settle(index, index, tokens_N2[:, 1], logprobs_N2[:, 1], logits_2V[1], hidden_2D[1])
            self._guide.take_back(index, second)
        running.record(going_on, tokens_N2[going_on, 1], logprobs_N2[going_on, 1])
        self.drawn += len(right_N) + len(going_on)

    def _take_looked_up(self, lookup: Lookup, units: np.ndarray) -> None:
        """Sample a token for each running completion, and one more for each draft that is the token before it."""
        running, count = self._running, len(self._running)
        drafts = lookup.drafts(running)
        reading_N = np.array([1 + len(each) for each in drafts])
        if (reading_N == 1).all():
            self.take(0, self.steps.logits(units))
            return
        first_N = np.cumsum(reading_N) - reading_N
        parts = zip(running.last_tokens[:, None], drafts, strict=True)
        read_X = np.concatenate([part for pair in parts for part in pair], dtype=np.int64)
        held_N = self._cache.lengths.numpy()[running.rows]
        logits_XV = self._decoder.read_on(read_X, reading_N, self._cache, running.rows, units)
        running.shape(0, logits_XV, first_N)
        kept = {index: logits_XV[int(first_N[index])].clone() for index in running.guided}
        tokens_X, logprobs_X = running.sample_several(reading_N, logits_XV)
        for index, logits_V in kept.items():
            settled = self._guide.settle(index, int(first_N[index]), tokens_X, logprobs_X, logits_V, None)
            self._guide.take_back(index, settled)
        taken_N, going_on = np.zeros(count, dtype=np.int64), np.arange(count)
        while len(going_on):
            places = first_N[going_on] + taken_N[going_on]
            running.record(going_on, tokens_X[places], logprobs_X[places])
            taken_N[going_on] += 1
            more = taken_N[going_on] < reading_N[going_on]
            going_on, places = going_on[more], places[more]
            going_on = going_on[tokens_X[places] == read_X[places + 1]]
            going_on = going_on[~self.ended()[1][going_on]]
        drafted = reading_N > 1
        self._cache.lengths.numpy()[running.rows[drafted]] = (held_N + taken_N)[drafted]
        self.drawn += int(taken_N.sum())
        lookup.note(len(read_X) - count, int(taken_N.sum()) - count)
