"""Steps on a device that works while the host goes on: in a step one array is copied there, and one result is waited for.

What is between them are two regions, fixed sequences of kernels: what reads the last tokens, and what draws the next ones. No
number of a region decides on the host what is done next.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cogitate.engine.decode import DRAFTED, Decoder
from cogitate.engine.decode_plain import PlainDecoder
from cogitate.engine.running import Running
from cogitate.engine.sampling import Demands, check_finite, sample_without_waiting, uniforms
from cogitate.engine.speculation import Speculation
from cogitate.engine.steps.inputs import Inputs, results, to_device, to_host
from cogitate.engine.steps.paged import TABLE, append, paged_context
from cogitate.engine.steps.regions import Captured, Launched, Regions, check_captured
from cogitate.engine.steps.steps import HostSteps, Steps
from cogitate.errors import ConfigError
from cogitate.model.kv_cache import KVCache

MTP = "mtp "  # what parts of the MTP block's cache begin with


def make_steps(
    decoder: Decoder | PlainDecoder,
    cache: KVCache,
    running: Running,
    speculation: Speculation | None,
    *,
    captured: bool = False,
) -> Steps:
    """The form for where the decoder's model is.

    Raises:
        ConfigError: steps of this model cannot be captured.
    """
    if isinstance(decoder, Decoder) or decoder.device.type == "cpu":
        if captured:
            raise ConfigError("captured_steps has no effect on a CPU: steps are captured with CUDA; set captured_steps=false")
        return HostSteps(decoder, cache, running, speculation)
    if captured:
        check_captured(decoder.model)
    return DeviceSteps(decoder, cache, running, speculation, captured=captured)


class DeviceSteps:
    """Implements Steps with the model itself.

    Attributes:
        regions: how its two regions are launched.
    """

    def __init__(
        self,
        decoder: PlainDecoder,
        cache: KVCache,
        running: Running,
        speculation: Speculation | None,
        *,
        captured: bool = False,
    ):
        self.decoder, self.cache, self.running, self._speculation = decoder, cache, running, speculation
        self.regions: Regions = Captured(decoder.device, self._addresses) if captured else Launched(decoder.device)
        if captured:  # graphs know addresses
            decoder.stays = cache.stays = True
            if speculation is not None:
                speculation.cache.stays = True
        self._inputs: Inputs | None = None  # of the step under way
        self._keep_nothing()

    @property
    def speculation(self) -> Speculation:
        assert self._speculation is not None
        return self._speculation

    def forget(self) -> None:
        self._inputs = None

    def free(self) -> None:
        self._keep_nothing()

    def logits(self, units: np.ndarray) -> Tensor:
        running = self.running
        parts = self._settings(slice(None), 1) | {"last": running.last_tokens} | append(self.cache, running.rows, 1)
        self._inputs = inputs = self.regions.inputs(parts | {TABLE: self._table(self.cache)})
        (self._logits_NTV,) = self.regions.run("read", inputs, lambda: self.read_last(inputs))
        return self._logits_NTV[: len(running), 0]

    def drafted_logits(self, units: np.ndarray) -> tuple[Tensor, Tensor]:
        running, speculation = self.running, self.speculation
        counts_N, tokens_N2 = speculation.to_read(running.rows, running.last_tokens)
        parts = self._settings(slice(None), DRAFTED) | {"row": running.rows, "read": tokens_N2, "count": counts_N}
        parts |= append(self.cache, running.rows, DRAFTED)
        parts |= {f"{MTP}{name}": part for name, part in append(speculation.cache, running.rows, DRAFTED).items()}
        speculation.cache.lengths.numpy()[running.rows] -= DRAFTED - counts_N
        tables = {TABLE: self._table(self.cache), f"{MTP}{TABLE}": self._table(speculation.cache)}
        self._inputs = inputs = self.regions.inputs(parts | tables)
        demands = self._demands(slice(None))
        made = self.regions.run(("read", demands), inputs, lambda: self.read_drafted(inputs, demands))
        self._logits_NTV, hidden_N2D, self._drafts_N = made
        return self._logits_NTV[: len(running)], hidden_N2D[: len(running)]

    def sample(self, which: slice, logits_NTV: Tensor) -> tuple[np.ndarray, np.ndarray]:
        inputs, self._inputs = self._inputs, None
        demands = self._demands(which)
        if inputs is None:  # of completions that begin
            (made,) = self.draw(to_device(self._settings(which, 1), self.decoder.device), logits_NTV, demands)
        else:
            logits_NTV = self._logits_NTV
            (made,) = self.regions.run(("draw", demands), inputs, lambda: self.draw(inputs, logits_NTV, demands))
        (tokens,), logprobs = to_host(made)
        count = len(self.running.rows[which])
        self._check_finite(which, logprobs[:count], logits_NTV[:count])
        return tokens[:count, None], logprobs[:count, None]

    def sample_drafted(self, logits_N2V: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inputs, self._inputs = self._inputs, None
        assert inputs is not None
        demands, logits_N2V, drafts_N = self._demands(slice(None)), self._logits_NTV, self._drafts_N
        (made,) = self.regions.run(("draw", demands), inputs, lambda: self.draw(inputs, logits_N2V, demands, drafts_N))
        (tokens, drafts), logprobs = to_host(made)
        count = len(self.running)
        self._check_finite(slice(None), logprobs[: DRAFTED * count], logits_N2V[:count])
        drafts_N2, tokens_N2, logprobs_N2 = (each.reshape(-1, DRAFTED)[:count] for each in (drafts, tokens, logprobs))
        self.speculation.note_drafts(self.running.rows, drafts_N2[:, 0])
        self._rows_N = inputs["row"][:count, 0]
        return tokens_N2, logprobs_N2, drafts_N2[:, 0]

    def note(self, right_N: np.ndarray, hidden_N2D: Tensor) -> None:
        self.speculation.note(self.running.rows, right_N, hidden_N2D, self._rows_N)

    def read_last(self, inputs: Inputs) -> tuple[Tensor]:
        """The region of `logits`, (N, 1, V)."""
        self.decoder.check()
        model = self.decoder.model
        return (model.logits(model.read(inputs["last"], paged_context(model, self.cache, inputs))),)

    def read_drafted(self, inputs: Inputs, demands: Demands) -> tuple[Tensor, Tensor, Tensor]:
        """The region of `drafted_logits`: logits (N, 2, V), hidden states (N, 2, D) and drafts (N,)."""
        self.decoder.check()
        model, speculation = self.decoder.model, self.speculation
        hidden_N2D = speculation.hidden_of(inputs["row"][:, 0]).to(model.embed_tokens.weight.dtype)
        ahead = paged_context(model, speculation.cache, inputs, MTP)
        ahead_N2D = model.read_ahead(hidden_N2D, inputs["read"], ahead)
        place_N1D = (inputs["count"] - 1)[..., None].expand(-1, 1, ahead_N2D.shape[2])
        drafts_N, _ = self._drawn(inputs, model.logits(ahead_N2D.gather(1, place_N1D)), demands)
        read_N2 = torch.stack((inputs["read"][:, 1], drafts_N), dim=1)
        hidden_N2D = model.read(read_N2, paged_context(model, self.cache, inputs))
        return model.logits(hidden_N2D), hidden_N2D, drafts_N

    def draw(self, inputs: Inputs, logits_NTV: Tensor, demands: Demands, drafts_N: Tensor | None = None) -> tuple[Tensor]:
        """The region that samples: `results` of tokens (N * T,), with drafts repeated for each of T, and log-probabilities."""
        tokens_X, logprobs_X = self._drawn(inputs, logits_NTV, demands)
        drafts = () if drafts_N is None else (drafts_N[:, None].expand(-1, logits_NTV.shape[1]).flatten(),)
        return (results((tokens_X, *drafts), logprobs_X),)

    def _drawn(self, inputs: Inputs, logits_NTV: Tensor, demands: Demands) -> tuple[Tensor, Tensor]:
        tokens = logits_NTV.shape[1]
        settings_N2 = inputs.doubles("settings").float()
        temperatures_X, top_p_X = (settings_N2[:, each, None].expand(-1, tokens).flatten() for each in range(2))
        uniforms_X, again_X = (inputs.doubles(name)[:, :tokens].flatten() for name in ("uniforms", "again"))
        return sample_without_waiting(logits_NTV.flatten(0, 1), temperatures_X, top_p_X, uniforms_X, again_X, demands)

    def _check_finite(self, which: slice, logprobs_X: np.ndarray, logits_NTV: Tensor) -> None:
        """Raises NotFiniteError as the sampler of a CPU does. The device is asked only where something is wrong."""
        tokens, first_N = logits_NTV.shape[1], (self.running.counts + self.running.given)[which]
        positions = torch.from_numpy(first_N[:, None] + np.arange(tokens)).flatten()
        seeds = torch.from_numpy(np.repeat(self.running.seeds[which], tokens))
        check_finite(torch.from_numpy(logprobs_X), lambda: logits_NTV.amax(dim=-1).flatten().cpu(), seeds, positions)

    def _keep_nothing(self) -> None:
        """Of what the last step has made; with graphs these have more rows than there are completions."""
        self._logits_NTV = self._drafts_N = self._rows_N = torch.empty(0)

    def _settings(self, which: slice, tokens: int) -> dict[str, np.ndarray]:
        """How some completions sample their next tokens: temperature and top_p, and random numbers for each token, (N, T)."""
        running = self.running
        seeds_N1 = torch.from_numpy(running.seeds[which])[:, None]
        positions_NT = torch.from_numpy((running.counts + running.given)[which])[:, None] + torch.arange(tokens)
        return {
            "settings": np.stack((running.temperatures[which], running.top_p[which]), axis=1).astype(np.float64),
            "uniforms": uniforms(seeds_N1, positions_NT).numpy(),
            "again": uniforms(seeds_N1, positions_NT, stream=1).numpy(),
        }

    def _demands(self, which: slice) -> Demands:
        return Demands.of(self.running.temperatures[which], self.running.top_p[which])

    def _table(self, cache: KVCache) -> np.ndarray:
        return self.regions.table(cache.table_of(self.running.rows))

    def _addresses(self) -> list[Tensor]:
        further = [] if self._speculation is None else self._speculation.cache.layers
        return [self.decoder.model.embed_tokens.weight, *self.cache.layers, *further]
