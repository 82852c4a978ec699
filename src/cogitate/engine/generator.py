"""The laptop's Generator: continuous batching over our own decoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from collections.abc import Sequence as SequenceOf
from pathlib import Path

import numpy as np
import torch

from cogitate.backend import GenerationRequest
from cogitate.device import without_determinism
from cogitate.engine.batch import share_units
from cogitate.engine.decode_plain import make_decoder
from cogitate.engine.drafts.lookup import DRAFTED_AT_ONCE, Lookup
from cogitate.engine.prompts.prefill import Prefill, check_reading
from cogitate.engine.prompts.prefix_tree import PrefixTree
from cogitate.engine.running import Ended, Running, Sequence, Shaper
from cogitate.engine.scheduler import Group, Scheduler, check_room, request_fault
from cogitate.engine.speculation import Speculation
from cogitate.engine.steps.taking import Taking
from cogitate.engine.thinking.guided import Guide
from cogitate.errors import DataError, NotFiniteError
from cogitate.model.kv_cache import KVCache
from cogitate.model.transformer import Transformer
from cogitate.runtime import give_back_memory
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Completion, FinishReason

PREFILL_TOKENS = 4096  # of one prefill batch, padding included
PROMPT_ROWS = 32  # prompts that are prefilled and wait for free rows, at most


class Engine:
    """Draws completions; implements backend.Generator.

    A row freed by a finished completion is refilled in the next `poll`. A prompt is prefilled and kept once for all its
    completions. A completion depends on its seed, not on its neighbours (sampling.py).

    After `load_weights`, completions in flight go on from what they have: their later tokens are sampled by the new weights
    and carry the new version, while the cached keys and values of their earlier tokens stay those of the old weights, as in
    partial rollouts (Kimi K1.5, arXiv:2501.12599). Completions not yet started are sampled by the new weights alone.

    With `speculative` the MTP block drafts each token: a step makes one or two, and the same completions (speculation.py).

    Attributes:
        cache: what it remembers; cache.blocks_in_use * cache.bytes_per_block is the memory of all tokens held.
        speculation: its counters say how many drafts were right; None without `speculative`.
        lookup: the same of drafts by n-gram lookup; None without `ngram_drafts`.
        prefixes: what is kept for later requests and how much memory that takes; None without `prefix_bytes`.
    """

    def __init__(
        self,
        model: Transformer,
        *,
        end_id: int | Collection[int],
        max_batch: int,
        max_context: int | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        speculative: bool = False,
        tokenizer: Tokenizer | None = None,
        prefix_bytes: int = 0,
        prefill_tokens: int = 0,
        ngram_drafts: int = 0,
        weight_bits: int = 0,
        activation_bits: int = 0,
        cache_bits: int = 0,
        captured_steps: bool = False,
    ):
        """
        Args:
            model: becomes the engine's own: it is moved to `dtype` and `device` where these are given, and `load_weights` may
                overwrite it. Where the kernels have weights of their own, the engine does not keep it.
            end_id: the token that ends a completion, or all that do; it is part of the completion.
            max_batch: completions decoded at the same time.
            max_context: prompt plus completion tokens; the model's max_position_embeddings by default.
            speculative: faster where few completions run; the model must have an MTP block (ConfigError).
            tokenizer: the model's, by which thinking is followed; requests with a thinking budget need it.
            prefix_bytes: memory for what has been read and sampled, at most, beyond what is in use: requests that begin like
                earlier or running ones read only what is new (prefix_tree.py). Completions are the same as without: with the
                kernels to the bit. 0: nothing is kept. Not together with `speculative` (ConfigError).
            prefill_tokens: of prompts that one `poll` reads, more where few run and many wait (Scheduler.to_read): what is
                longer is read in pieces, between the steps of running completions, with the kernels in the same pass; the
                same holds. 0: prompts are read whole. Not together with `speculative` (ConfigError).
            ngram_drafts: tokens that are drafted for a completion in a step, at most, by looking its last ones up in its own
                text and its siblings' (drafts/lookup.py). 0: none. Not together with `speculative` (ConfigError).
            weight_bits: of the weights of matrices (bits/groups.py): 8 or 4, rounded from those of `model` and of what
                `load_weights` reads in the type that the model has here; what is computed is in `dtype`. 0: as they are.
            activation_bits: 8: what these weights are multiplied with is rounded, too, each group of a token's with a scale
                (bits/products.py). 0: it is in `dtype`.
            cache_bits: 8: keys and values are kept in 8 bits, each with a scale. 0: as they are computed.
            captured_steps: steps are CUDA graphs (steps/regions.py); ConfigError where the model's cannot be.
        """
        check_reading(prefix_bytes, prefill_tokens, ngram_drafts, speculative=speculative)
        check_room(max_batch, max_context, limit := model.config.max_position_embeddings)
        model = model.to(device=device, dtype=None if weight_bits else dtype).eval()
        self.config = model.config
        end_ids = [end_id] if isinstance(end_id, int) else end_id
        self._ends = np.isin(np.arange(model.config.vocab_size), [*end_ids])  # by token; an end_id that is none ends nothing
        self.max_context = max_context or limit
        self.device, self.dtype = model.embed_tokens.weight.device, dtype or model.embed_tokens.weight.dtype
        self.version = 0
        prompt_rows = min(max_batch, PROMPT_ROWS)
        rows = max_batch + prompt_rows
        self.cache = KVCache(model.config, rows, self.max_context, dtype=self.dtype, device=self.device, bits=cache_bits)
        self.speculation = Speculation(model, rows, self.max_context, self.dtype, cache_bits) if speculative else None
        self._caches = [self.cache] if self.speculation is None else [self.cache, self.speculation.cache]
        self.lookup = Lookup(ngram_drafts) if ngram_drafts else None
        self.decoder = make_decoder(
            model, max_batch, mtp=speculative, drafts=DRAFTED_AT_ONCE if ngram_drafts else 0,
            bits=weight_bits, activation_bits=activation_bits, cache_bits=cache_bits, dtype=self.dtype,
        )  # fmt: skip
        self.prefixes = PrefixTree(self.cache, prefix_bytes) if prefix_bytes else None
        self.prefill = Prefill(self.decoder, self.cache, self.speculation, self.prefixes)
        self._scheduler = Scheduler(max_batch, prompt_rows)
        self._running = Running(rows)
        self._guide = Guide(tokenizer, self._ends, self._running, self.cache, self.speculation)
        self._taking = Taking(
            self.decoder, self.cache, self._running, self._guide, self._ends, speculation=self.speculation, lookup=self.lookup,
            captured=captured_steps,
        )  # fmt: skip
        self._prefill_tokens = prefill_tokens
        self._reads_beside = prefill_tokens > 0 and self.prefill.goes_beside
        self._units: np.ndarray | None = None  # of the running rows, until these change
        self._pending_of: Counter[str] = Counter()
        self._shapers: dict[str, Shaper] = {}

    def submit(
        self, request: GenerationRequest, shaper: Shaper | None = None, *, on_read: Callable[[int], None] | None = None
    ) -> None:
        """Queue a request.

        Args:
            shaper: of the request's one completion; not together with `speculative`, whose drafts it would not see.
            on_read: called with the tokens of `context_ids` that had not to be computed, when (and whenever) they are read.

        Raises:
            DataError: prompt and completion do not fit the context, or the request cannot be fulfilled for another reason.
        """
        problem = request_fault(request, self.config.vocab_size, self.max_context)
        if problem is None and self._pending_of[request.id]:
            problem = "a request of this id is still pending: give each request its own id"
        problem = problem or self._guide.fault(request)
        if shaper is not None and (self.speculation is not None or len(request.seeds) != 1):
            problem = "a shaper needs a request of one seed and an engine without speculative decoding"
        if problem is not None:
            raise DataError(f"request {request.id}: {problem}")
        self._pending_of[request.id] = len(request.seeds)
        if shaper is not None:
            self._shapers[request.id] = shaper
        self._scheduler.submit(request, on_read)

    @property
    def tokens_sampled(self) -> int:
        """Tokens that were sampled since the engine was made, those that were taken back included."""
        return self._taking.drawn - self._guide.unused

    @property
    def tokens_set(self) -> int:
        """Tokens that were set in a thinking instead."""
        return self._guide.tokens_set

    @property
    def prompt_tokens_prefilled(self) -> int:
        """Tokens of prompts and of `given_ids` that were computed since the engine was made."""
        return self.prefill.read

    @property
    def prompt_tokens_shared(self) -> int:
        """Those that were not, because an earlier request or a running completion had them."""
        return self.prefill.shared

    def tokens_per_step(self) -> float | None:
        """As `Taking.tokens_per_step`."""
        return self._taking.tokens_per_step()

    def pending(self) -> int:
        """Completions not yet returned."""
        return self._scheduler.unstarted + len(self._running)

    @torch.inference_mode()
    @without_determinism()
    def poll(self) -> list[Completion]:
        """Refill free rows, advance every running completion by one step, and return what has finished, in the order of
        submission and of the seeds within a request. Raises NotFiniteError: the logits of one are NaN or infinite; then nothing
        is pending any more."""
        try:
            return self._poll()
        except NotFiniteError:
            self._drop_all()
            raise

    def _poll(self) -> list[Completion]:
        self._taking.steps.forget()
        self.prefill.left = self._scheduler.to_read(self._prefill_tokens, len(self._running)) or None
        if self._reads_beside and len(self._running):
            finished = self._step_and_read() + self._admit()
        else:
            finished = self._admit() + self._step()
        return [completion for _, completion in sorted(finished, key=lambda pair: pair[0])]

    def partial(self, request_id: str, *, start: int = 0) -> dict[int, list[int]]:
        """The tokens, from index `start` on, of each running completion of a request, by its seed: for showing them early."""
        return self._running.by_seed(request_id, start)

    def fresh(self, starts: Mapping[str, int]) -> dict[str, list[int]]:
        """`partial` of many requests of one seed at once: id -> the tokens of its completion from index starts[id] on."""
        return self._running.by_request(starts)

    def abort(self, request_ids: SequenceOf[str]) -> list[Completion]:
        """Stop these requests; returns what they had sampled (also empty completions), finish_reason "abort"."""
        ids = set(request_ids)
        leaving = np.array([i for i, each in enumerate(self._running.sequences) if each.request.id in ids], dtype=np.int64)
        self._running.drop_revocable(leaving)
        stopped = self._remove(leaving, ["abort"] * len(leaving))
        for group in self._scheduler.withdraw(ids):
            self._release_prompt(group)
            for index in range(group.next_seed, len(group.request.seeds)):
                sequence = self._sequence(group, index, -1)
                stopped.append((sequence.order, sequence.completion([], [], "abort")))
        for request_id in ids:
            del self._pending_of[request_id]
            self._shapers.pop(request_id, None)
        return [completion for _, completion in sorted(stopped, key=lambda pair: pair[0])]

    def free_weights(self) -> None:
        """Let go of the weights until the next `load_weights`; until then nothing can be sampled."""
        assert not self.pending(), "completions are pending: they need the weights"
        self._forget()
        self._taking.steps.free()
        self.decoder.free()
        give_back_memory()

    def load_weights(self, path: Path, version: int) -> None:
        """Replace the weights by those of a Hugging Face directory; later tokens carry this version."""
        self.decoder.load(path)
        self.version = version
        self._running.note_version(version)
        for group in self._scheduler.requeue():
            self._release_prompt(group)
        self._forget()

    def _drop_all(self) -> None:
        """Let go of what is pending and of what is kept: a block with numbers that are not finite would fail whoever has it
        later, even in places where none of its tokens stands, since 0 times NaN is NaN."""
        self.abort([*self._pending_of])
        self._forget()
        for cache in self._caches:
            cache.wipe()

    def _forget(self) -> None:
        """What was read and written is of no use: the weights are others, or it may not be finite."""
        self.prefill.forget()
        if self.lookup is not None:
            self.lookup.forget()

    def _step(self) -> Ended:
        """Advance every running completion."""
        if not len(self._running):
            return []
        if self._units is None:
            self._units = share_units(self.cache, self._running.rows)
        self._taking.step(self._units)
        return self._remove_ended()

    def _step_and_read(self) -> Ended:
        """The same, and read of what waits in the same pass; this poll reads nothing else."""
        groups = self._scheduler.to_prefill(PREFILL_TOKENS)
        self.prefill.keep_running(self._running, groups)
        finished = self.prefill.run_beside(groups, self._step)
        self._scheduler.note_read(groups, self.prefill.whole(groups))
        return finished

    def _admit(self) -> Ended:
        """Fill free rows, prefilling prompts as needed, until there is no free row or nothing to start, or enough is read."""
        finished: Ended = []
        while True:
            if self.prefill.left != 0 and (groups := self._scheduler.to_prefill(PREFILL_TOKENS)):
                self.prefill.keep_running(self._running, groups)
                self.prefill.run(groups)
                self._scheduler.note_read(groups, self.prefill.whole(groups))
            started = self._scheduler.start()
            if not started:
                return finished
            sequences, logits = [], []
            for each in started:
                group = each.group
                assert group.prompt_row is not None
                assert group.logits_V is not None
                self.cache.fork(group.prompt_row, each.rows)
                if self.speculation is not None and group.hidden_D is not None:
                    self.speculation.start(group.prompt_row, each.rows, group.hidden_D)
                for index, row in zip(each.seed_indices, each.rows, strict=True):
                    sequences.append(self._sequence(group, index, row))
                logits.append(group.logits_V.expand(len(each.rows), -1))
                if not group.unstarted:
                    self._release_prompt(group)
            first = len(self._running)
            self._running.add(sequences)
            self._units = None
            self._taking.take(first, torch.cat(logits))
            finished += self._remove_ended()

    def _sequence(self, group: Group, seed_index: int, row: int) -> Sequence:
        """A completion that is about to start."""
        thinking = self._guide.thinking_of(group.request)
        shaper = self._shapers.get(group.request.id)
        return Sequence(group.request, (group.number, seed_index), row, [(self.version, 0)], thinking, shaper=shaper)

    def _remove_ended(self) -> Ended:
        (stopped, ended), paused = self._taking.ended(), self._running.paused()
        leaving = np.flatnonzero(ended)
        reasons: list[FinishReason] = [
            "stop" if stopped[index] else "pause" if paused[index] else "length" for index in leaving
        ]
        return self._remove(leaving, reasons)

    def _remove(self, leaving: np.ndarray, reasons: list[FinishReason]) -> Ended:
        """End running completions of these indices and free what they hold."""
        if not len(leaving):
            return []
        orders = [self._running.sequences[index].order for index in leaving]
        rows = self._running.rows[leaving].tolist()
        for index in leaving.tolist():
            self.prefill.keep(self._running, index)
            if self.lookup is not None:
                self.lookup.keep(self._running.sequences[index], self._running.sampled(index))
        completions = self._running.remove(leaving, reasons)
        self._units = None
        self._free(rows)
        self._scheduler.free_rows.extend(rows)
        for completion in completions:
            self._pending_of[completion.request_id] -= 1
            if not self._pending_of[completion.request_id]:
                del self._pending_of[completion.request_id]
                self._shapers.pop(completion.request_id, None)
        return list(zip(orders, completions, strict=True))

    def _release_prompt(self, group: Group) -> None:
        row = self._scheduler.release_prompt(group)
        if row is not None:
            self._free([row])

    def _free(self, rows: SequenceOf[int]) -> None:
        for cache in self._caches:
            cache.free(rows)
