"""The laptop's Generator: continuous batching over our own decoder."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from pathlib import Path

import torch
from torch import Tensor

from cogitate.backend import GenerationRequest
from cogitate.engine.sampling import sample
from cogitate.engine.scheduler import Scheduler, Sequence
from cogitate.errors import DataError
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer
from cogitate.types import Completion, FinishReason

PREFILL_TOKENS = 4096  # padded prompt tokens of one prefill batch


class Engine:
    """Draws completions; implements backend.Generator.

    A slot freed by a finished completion is refilled in the next `poll`. A prompt is prefilled once for all its completions.
    A completion depends on its seed, not on its neighbours (see sampling.py).

    After `load_weights`, completions in flight go on from what they have: their later tokens are sampled by the new weights
    and carry the new version, while the cached keys and values of their earlier tokens stay those of the old weights, as in
    partial rollouts (Kimi K1.5, arXiv:2501.12599, section 2.6.2). Completions not yet started are sampled by the new weights
    alone.

    Attributes:
        prompt_tokens_prefilled, tokens_sampled: counted since the engine was made.
    """

    def __init__(
        self,
        model: Transformer,
        *,
        end_id: int,
        max_batch: int,
        max_context: int | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        """
        Args:
            model: becomes the engine's own: it is moved to `dtype` and `device` where these are given, and `load_weights`
                overwrites it.
            end_id: the token that ends a completion; it is part of the completion.
            max_batch: completions decoded at the same time.
            max_context: prompt plus completion tokens; the model's max_position_embeddings by default.
        """
        limit = model.config.max_position_embeddings
        if max_context is not None and not 2 <= max_context <= limit:
            raise DataError(f"max_context = {max_context}: must be from 2 to the model's max_position_embeddings, {limit}")
        if max_batch < 1:
            raise DataError(f"max_batch = {max_batch}: must be at least 1")
        self.model = model.to(device=device, dtype=dtype).eval()
        self.end_id = end_id
        self.max_context = max_context or limit
        self.device = model.embed_tokens.weight.device
        self.version = 0
        self.prompt_tokens_prefilled = self.tokens_sampled = 0
        self._slots = max_batch
        prompt_rows = min(max_batch, 32)
        self._scheduler = Scheduler(max_batch, prompt_rows)
        self._cache = KVCache(
            model.config,
            max_batch + prompt_rows,
            self.max_context,
            dtype=model.embed_tokens.weight.dtype,
            device=self.device,
        )

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request.

        Raises:
            DataError: prompt and completion do not fit the context, or the request cannot be fulfilled for another reason.
        """
        prompt, params = len(request.prompt_ids), request.params
        problem = None
        if not prompt:
            problem = "the prompt is empty: give at least one token"
        elif prompt + params.max_new_tokens > self.max_context:
            problem = (
                f"a prompt of {prompt} tokens and max_new_tokens = {params.max_new_tokens} do not fit the context of "
                f"{self.max_context}: shorten the prompt or lower max_new_tokens"
            )
        elif params.max_new_tokens < 1:
            problem = f"max_new_tokens = {params.max_new_tokens}: must be at least 1"
        elif not params.temperature >= 0:
            problem = f"temperature = {params.temperature}: must not be negative"
        elif not 0 < params.top_p <= 1:
            problem = f"top_p = {params.top_p}: must be above 0 and at most 1"
        elif request.id in self._scheduler.ids():
            problem = "a request of this id is still pending: give each request its own id"
        if problem is not None:
            raise DataError(f"request {request.id}: {problem}")
        self._scheduler.submit(request)

    def pending(self) -> int:
        """Completions not yet returned."""
        return self._scheduler.pending()

    @torch.inference_mode()
    def poll(self) -> list[Completion]:
        """Refill free slots, advance every running completion by one token, and return what has finished, in the order of
        submission and of the seeds within a request."""
        finished = self._admit()
        active = self._scheduler.active()
        if active:
            rows_B = torch.tensor([slot for slot, _ in active], device=self.device)
            tokens_B1 = torch.tensor([[sequence.token_ids[-1]] for _, sequence in active], device=self.device)
            hidden_BD = self.model(tokens_B1, cache=self._cache, rows_B=rows_B)[:, 0]
            finished += self._take_tokens(active, self.model.logits(hidden_BD))
        return [sequence.completion(reason) for sequence, reason in sorted(finished, key=lambda pair: pair[0].order)]

    def abort(self, request_ids: SequenceOf[str]) -> list[Completion]:
        """Stop these requests; returns what they had sampled (also empty completions), finish_reason "abort"."""
        return [sequence.completion("abort") for sequence in self._scheduler.abort(set(request_ids))]

    def load_weights(self, path: Path, version: int) -> None:
        """Replace the weights in place by those of a Hugging Face directory; later tokens carry this version."""
        from cogitate.model.hf import load_weights_into

        load_weights_into(self.model, path)
        self.version = version
        self._scheduler.forget_prompts()

    def _admit(self) -> list[tuple[Sequence, FinishReason]]:
        """Fill free slots, prefilling prompts as needed, until there is no free slot or nothing to start."""
        finished: list[tuple[Sequence, FinishReason]] = []
        while True:
            self._prefill()
            started = self._scheduler.start()
            if not started:
                return finished
            members, logits = [], []
            for group in started:
                self._cache.fork(self._slots + group.prompt_row, [slot for slot, _ in group.members])
                members += group.members
                logits += [group.logits_V] * len(group.members)
            finished += self._take_tokens(members, torch.stack(logits))

    def _prefill(self) -> None:
        """Run the prompts of the next groups as one right-padded batch, where free slots are waiting for them."""
        groups = self._scheduler.to_prefill(PREFILL_TOKENS)
        if not groups:
            return
        prompts = [group.request.prompt_ids for group in groups]
        lengths_B = torch.tensor([len(prompt) for prompt in prompts], device=self.device)
        tokens_BT = torch.nn.utils.rnn.pad_sequence([torch.tensor(prompt) for prompt in prompts], batch_first=True)
        rows = [self._slots + group.prompt_row for group in groups if group.prompt_row is not None]
        rows_B = torch.tensor(rows, device=self.device)
        self._cache.free(rows)
        hidden_BTD = self.model(tokens_BT.to(self.device), cache=self._cache, rows_B=rows_B)
        self._cache.lengths[rows_B] = lengths_B
        last_BD = hidden_BTD[torch.arange(len(groups), device=self.device), lengths_B - 1]
        for group, logits_V in zip(groups, self.model.logits(last_BD), strict=True):
            group.logits_V = logits_V
        self.prompt_tokens_prefilled += sum(len(prompt) for prompt in prompts)

    def _take_tokens(self, members: Iterable[tuple[int, Sequence]], logits_BV: Tensor) -> list[tuple[Sequence, FinishReason]]:
        """Sample one token for each of these sequences; free the slots of those that it ends."""
        members = list(members)
        sequences = [sequence for _, sequence in members]
        tokens_B, logprobs_B = sample(
            logits_BV,
            torch.tensor([s.request.params.temperature for s in sequences], dtype=torch.float32, device=self.device),
            torch.tensor([s.request.params.top_p for s in sequences], dtype=torch.float32, device=self.device),
            torch.tensor([s.seed for s in sequences], device=self.device),
            torch.tensor([len(s.token_ids) for s in sequences], device=self.device),
        )
        finished: list[tuple[Sequence, FinishReason]] = []
        for (slot, sequence), token, logprob in zip(members, tokens_B.tolist(), logprobs_B.tolist(), strict=True):
            sequence.append(token, logprob, self.version)
            reason: FinishReason | None = None
            if token == self.end_id:
                reason = "stop"
            elif len(sequence.token_ids) == sequence.request.params.max_new_tokens:
                reason = "length"
            if reason is not None:
                self._scheduler.finish(slot)
                self._cache.free([slot])
                finished.append((sequence, reason))
        self.tokens_sampled += len(sequences)
        return finished
