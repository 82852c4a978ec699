"""Steps on a device that works while the host goes on: in a step one array is copied there, and one result is waited for.

What is between them is a fixed sequence of kernels: no number of it decides on the host what is done next.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cogitate.engine.decode import DRAFTED, Decoder, append_to
from cogitate.engine.decode_plain import PlainDecoder
from cogitate.engine.running import Running
from cogitate.engine.sampling import Demands, sample_without_waiting
from cogitate.engine.speculation import Speculation
from cogitate.engine.steps.inputs import Inputs, to_device, to_host
from cogitate.engine.steps.paged import paged_context
from cogitate.engine.steps.steps import HostSteps, Steps
from cogitate.model.kv_cache import KVCache


def make_steps(decoder: Decoder | PlainDecoder, cache: KVCache, running: Running, speculation: Speculation | None) -> Steps:
    """The form for where the decoder's model is."""
    if isinstance(decoder, Decoder) or decoder.device.type == "cpu":
        return HostSteps(decoder, cache, running, speculation)
    return DeviceSteps(decoder, cache, running, speculation)


class DeviceSteps:
    """Implements Steps with the model itself."""

    def __init__(self, decoder: PlainDecoder, cache: KVCache, running: Running, speculation: Speculation | None):
        self.decoder, self.cache, self.running, self._speculation = decoder, cache, running, speculation
        self._inputs: Inputs | None = None  # of the step under way
        self._drafts_N: Tensor | None = None
        self._rows_N: Tensor | None = None

    @property
    def speculation(self) -> Speculation:
        assert self._speculation is not None
        return self._speculation

    def forget(self) -> None:
        self._inputs = None

    def logits(self, units: np.ndarray) -> Tensor:
        running, columns = self.running, self._columns(slice(None))
        columns |= {"last": running.last_tokens, **self._append(self.cache, "", 1)}
        self._inputs = to_device(columns, [self.cache.table_of(running.rows)], self.decoder.device)
        return self.read_last(self._inputs)

    def drafted_logits(self, units: np.ndarray) -> tuple[Tensor, Tensor]:
        running, speculation = self.running, self.speculation
        counts_N, tokens_N2 = speculation.to_read(running.rows, running.last_tokens)
        columns = self._columns(slice(None)) | {"before": tokens_N2[:, 0], "last": tokens_N2[:, 1], "count": counts_N}
        columns |= self._append(self.cache, "", DRAFTED) | self._append(speculation.cache, "mtp ", DRAFTED)
        speculation.cache.lengths.numpy()[running.rows] -= DRAFTED - counts_N
        tables = [cache.table_of(running.rows) for cache in (self.cache, speculation.cache)]
        self._inputs = to_device(columns, tables, self.decoder.device)
        self._rows_N = self._inputs["row"]
        logits_N2V, hidden_N2D, self._drafts_N = self.read_drafted(self._inputs)
        return logits_N2V, hidden_N2D

    def sample(self, which: slice, logits_NTV: Tensor) -> tuple[np.ndarray, np.ndarray]:
        inputs, self._inputs = self._inputs, None
        if inputs is None:  # of completions that begin
            inputs = to_device(self._columns(which), [], self.decoder.device)
        tokens_X, logprobs_X = self.draw(inputs, logits_NTV)
        (tokens,), logprobs = to_host([tokens_X], logprobs_X)
        return tokens.reshape(logits_NTV.shape[:2]), logprobs.reshape(logits_NTV.shape[:2])

    def sample_drafted(self, logits_N2V: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inputs, self._inputs = self._inputs, None
        assert inputs is not None
        assert self._drafts_N is not None
        tokens_X, logprobs_X = self.draw(inputs, logits_N2V)
        (tokens, drafts), logprobs = to_host([tokens_X, self._drafts_N.repeat_interleave(DRAFTED)], logprobs_X)
        drafts_N = drafts.reshape(-1, DRAFTED)[:, 0]
        self.speculation.note_drafts(self.running.rows, drafts_N)
        return tokens.reshape(-1, DRAFTED), logprobs.reshape(-1, DRAFTED), drafts_N

    def note(self, right_N: np.ndarray, hidden_N2D: Tensor) -> None:
        assert self._rows_N is not None
        self.speculation.note(self.running.rows, right_N, hidden_N2D, self._rows_N)

    def read_last(self, inputs: Inputs) -> Tensor:
        """`logits`, all of it on the device."""
        self.decoder.check()
        model, (table_NB,) = self.decoder.model, inputs.tables
        context = paged_context(model, self.cache, table_NB, inputs["start"], inputs["shared"], 1)
        return model.logits(model.read(inputs["last"][:, None], context))[:, 0]

    def read_drafted(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (N, 2, V), hidden states (N, 2, D) and drafts (N,), all of it on the device."""
        self.decoder.check()
        model, speculation, (table_NB, mtp_table_NB) = self.decoder.model, self.speculation, inputs.tables
        ahead = paged_context(model, speculation.cache, mtp_table_NB, inputs["mtp start"], inputs["mtp shared"], DRAFTED)
        hidden_N2D = speculation.hidden_of(inputs["row"]).to(model.embed_tokens.weight.dtype)
        read_N2 = torch.stack((inputs["before"], inputs["last"]), dim=1)
        ahead_N2D = model.read_ahead(hidden_N2D, read_N2, ahead)
        place_N1D = (inputs["count"] - 1)[:, None, None].expand(-1, 1, ahead_N2D.shape[2])
        drafts_N, _ = self.draw(inputs, model.logits(ahead_N2D.gather(1, place_N1D)))
        context = paged_context(model, self.cache, table_NB, inputs["start"], inputs["shared"], DRAFTED)
        hidden_N2D = model.read(torch.stack((inputs["last"], drafts_N), dim=1), context)
        return model.logits(hidden_N2D), hidden_N2D, drafts_N

    def draw(self, inputs: Inputs, logits_NTV: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens and log-probabilities (N * T,), all of it on the device."""
        tokens, running = logits_NTV.shape[1], self.running
        first = len(running) - len(logits_NTV)
        positions_NT = inputs["position"][:, None] + torch.arange(tokens, device=logits_NTV.device)
        temperatures_X, top_p_X, seeds_X = (
            values[:, None].expand(-1, tokens).flatten()
            for values in (inputs.numbers("temperature"), inputs.numbers("top_p"), inputs["seed"])
        )
        demands = Demands.of(running.temperatures[first:], running.top_p[first:])
        logits_XV, positions_X = logits_NTV.flatten(0, 1), positions_NT.flatten()
        return sample_without_waiting(logits_XV, temperatures_X, top_p_X, seeds_X, positions_X, demands)

    def _columns(self, which: slice) -> dict[str, np.ndarray]:
        running = self.running
        return {
            "row": running.rows[which],
            "seed": running.seeds[which],
            "position": (running.counts + running.given)[which],
            "temperature": running.temperatures[which],
            "top_p": running.top_p[which],
        }

    def _append(self, cache: KVCache, name: str, tokens: int) -> dict[str, np.ndarray]:
        """Make room for new tokens in each row; what a row held before."""
        rows = self.running.rows
        start_N = append_to(cache, rows, tokens)[::tokens] - 1
        return {f"{name}start": start_N, f"{name}shared": cache.shared[rows]}
