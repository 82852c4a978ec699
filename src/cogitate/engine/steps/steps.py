"""What the engine asks of a step, and the form of it for a CPU."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cogitate.engine.decode import Decoder
from cogitate.engine.decode_plain import PlainDecoder
from cogitate.engine.running import Running
from cogitate.engine.speculation import Speculation
from cogitate.model.kv_cache import KVCache


class Steps(Protocol):
    """Advances all running completions; which tokens become theirs is for the engine to say.

    Logits and hidden states that are returned are valid until the next call. Between a method that returns logits and the one
    that samples from them, the logits may be changed, and the running completions may not.
    """

    def forget(self) -> None:
        """What is left of a step that failed before it was sampled from; called before completions begin."""

    def free(self) -> None:
        """The weights are about to be freed: let go of memory that is of no use without them."""

    def logits(self, units: np.ndarray) -> Tensor:
        """Read each completion's last token; the logits of the next one, (N, V).

        Args:
            units: as `share_units` gives it for the running rows.
        """

    def sample(self, which: slice, logits_NTV: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """As `Running.sample`."""

    def drafted_logits(self, units: np.ndarray) -> tuple[Tensor, Tensor]:
        """Draft each completion's next token and read it after the last one; after each of the two the logits of the next one,
        (N, 2, V), and the hidden state, (N, 2, D)."""

    def sample_drafted(self, logits_N2V: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens and log-probabilities, (N, 2), as `Running.sample` of all, and what had been drafted, int64 (N,)."""

    def note(self, right_N: np.ndarray, hidden_N2D: Tensor) -> None:
        """Which of the drafts were right, after `sample_drafted`."""


class HostSteps:
    """With the kernels, or in plain PyTorch on a CPU."""

    def __init__(self, decoder: Decoder | PlainDecoder, cache: KVCache, running: Running, speculation: Speculation | None):
        self.decoder, self.cache, self.running, self._speculation = decoder, cache, running, speculation
        self._drafts_N = np.zeros(0, dtype=np.int64)

    @property
    def speculation(self) -> Speculation:
        assert self._speculation is not None
        return self._speculation

    def forget(self) -> None:
        pass  # nothing is kept between logits and sampling

    def free(self) -> None:
        pass

    def logits(self, units: np.ndarray) -> Tensor:
        return self.decoder.logits(self.running.last_tokens, self.cache, self.running.rows, units)

    def sample(self, which: slice, logits_NTV: Tensor) -> tuple[np.ndarray, np.ndarray]:
        return self.running.sample(which, logits_NTV)

    def drafted_logits(self, units: np.ndarray) -> tuple[Tensor, Tensor]:
        self._drafts_N = self.speculation.draft(self.decoder, self.running, units)
        read_N2 = np.stack((self.running.last_tokens, self._drafts_N), axis=1)
        return self.decoder.verify(read_N2, self.cache, self.running.rows, units)

    def sample_drafted(self, logits_N2V: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return *self.running.sample(slice(None), logits_N2V), self._drafts_N

    def note(self, right_N: np.ndarray, hidden_N2D: Tensor) -> None:
        rows = self.running.rows
        self.speculation.note(rows, right_N, hidden_N2D, torch.from_numpy(rows))
