"""The one thread around an engine: all requests are decoded together, each step's tokens go to their readers at once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError

from cogitate.apps.serve.drawing.shaping import TokenLogprob, TokenShaper
from cogitate.backend import GenerationRequest
from cogitate.engine.generator import Engine
from cogitate.errors import CheckpointError, CogitateError
from cogitate.model.kv_cache import blocks_of

log = logging.getLogger("cogitate.serve")

Ended = Literal["stop", "length", "failed"]

FAULTS = (RuntimeError, MemoryError, OSError, SafetensorError)
"""What calls of the engine raise where memory or a file fails: no reason to end its thread."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of the engine adds to a completion.

    Attributes:
        logprobs: of each token, where they are noted.
        ended: why it is complete, None while it is not.
    """

    token_ids: list[int]
    logprobs: list[TokenLogprob]
    ended: Ended | None


@dataclass(slots=True, eq=False)
class Draw:
    """A completion that is to be drawn.

    Attributes:
        request: of one seed; its id is its own.
        deliver: called with each step in the event loop's thread.
        taken: tokens that have been delivered.
        started: when it left the queue, by the monotonic clock.
        shared: tokens of its prompt that were there from earlier requests, known with its first step.
    """

    request: GenerationRequest
    deliver: Callable[[Step], None]
    shaper: TokenShaper | None = None
    taken: int = 0
    started: float | None = None
    shared: int = 0

    @property
    def blocks(self) -> int:
        """Of the cache that it may come to hold: its prompt's, those of what is given, its own."""
        request = self.request
        return sum(map(blocks_of, (len(request.prompt_ids), len(request.given_ids), request.params.max_new_tokens)))

    def note_shared(self, tokens: int) -> None:
        self.shared = tokens


@dataclass(slots=True)
class Load:
    """How busy the engine is, for metrics.

    Attributes:
        running, waiting: completions.
        cache_share: of the memory for tokens that running completions may come to hold.
    """

    running: int = 0
    waiting: int = 0
    cache_share: float = 0.0


@dataclass(slots=True)
class _Inbox:
    draws: list[Draw] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    calls: list[tuple[Callable[[], None], asyncio.Future[None]]] = field(default_factory=list)
    closed: bool = False

    @property
    def empty(self) -> bool:
        return not (self.draws or self.cancelled or self.calls or self.closed)


class EngineLoop:
    """Runs an engine in a thread of its own; it sleeps while there is nothing to draw.

    Args:
        rows: completions decoded at the same time; the engine has as many.
        cache_bytes: memory of running completions; others wait until what they may come to hold fits.

    Attributes:
        load: as of the last step.
        most_blocks: of the cache that all running completions together may come to hold.
    """

    def __init__(self, engine: Engine, *, rows: int, cache_bytes: int):
        self.engine, self.rows = engine, rows
        self.load = Load()
        self.most_blocks = max(1, cache_bytes // engine.cache.bytes_per_block)
        self._inbox, self._changed = _Inbox(), threading.Condition()
        self._waiting: deque[Draw] = deque()
        self._running: dict[str, Draw] = {}
        self._held = 0  # blocks that the running may come to hold
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether completions can be drawn."""
        return self._thread.is_alive()

    def submit(self, draw: Draw) -> None:
        self._tell(lambda inbox: inbox.draws.append(draw))

    def cancel(self, request_ids: Sequence[str]) -> None:
        """Stop completions before the next step; nothing more is delivered of them."""
        self._tell(lambda inbox: inbox.cancelled.extend(request_ids))

    async def load_weights(self, path: Path) -> None:
        """Replace the weights between two steps by the engine's next version; what runs goes on with the new ones. Raises
        CheckpointError: they cannot be read, and the version stays."""
        done: asyncio.Future[None] = self._loop.create_future()

        def load() -> None:
            self.engine.load_weights(path, self.engine.version + 1)

        self._tell(lambda inbox: inbox.calls.append((load, done)))
        await done

    def close(self) -> None:
        """Stop; what runs is dropped."""
        self._tell(lambda inbox: setattr(inbox, "closed", True))
        self._thread.join(60)

    def _tell(self, change: Callable[[_Inbox], None]) -> None:
        with self._changed:
            change(self._inbox)
            self._changed.notify()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException:  # a fault of ours: who waits is told, and `alive` says it to all others
            log.exception("the engine's thread has ended")
            self._post([(draw, Step([], [], "failed")) for draw in (*self._running.values(), *self._waiting)])
            raise

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._inbox.empty and not self._running and not self._waiting:
                    self._changed.wait()
                inbox, self._inbox = self._inbox, _Inbox()
            if inbox.closed:
                return
            self._waiting.extend(inbox.draws)
            self._drop(set(inbox.cancelled))
            for call, done in inbox.calls:
                self._call(call, done)
            refused = self._admit()
            running = [*self._running.values()]
            try:
                steps = [*refused, *self._step()]
            except Exception:  # a fault of ours must reach those who wait, and not end the thread
                log.exception("the engine failed")
                steps = [*refused, *((draw, Step([], [], "failed")) for draw in running)]
                self._drop(set(self._running))
            self.load = Load(len(self._running), len(self._waiting), self._held / self.most_blocks)
            if steps:
                self._post(steps)

    def _post(self, steps: list[tuple[Draw, Step]]) -> None:
        def deliver() -> None:
            for draw, step in steps:
                draw.deliver(step)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(deliver)

    def _call(self, call: Callable[[], None], done: asyncio.Future[None]) -> None:
        failure: CogitateError | None = None
        try:
            call()
        except CogitateError as error:
            failure = error
        except FAULTS as error:
            log.exception("the engine failed")
            failure = CheckpointError(f"the engine failed: {error}")

        def tell() -> None:
            if failure is not None and not done.done():
                done.set_exception(failure)
            elif not done.done():
                done.set_result(None)

        self._loop.call_soon_threadsafe(tell)

    def _drop(self, ids: set[str]) -> None:
        if not ids:
            return
        self._waiting = deque(draw for draw in self._waiting if draw.request.id not in ids)
        stopped = [request_id for request_id in self._running if request_id in ids]
        for request_id in stopped:
            self._held -= self._running.pop(request_id).blocks
        try:
            self.engine.abort(stopped)
        except FAULTS:
            log.exception("the engine could not stop completions: they come to their end beside others, unread")

    def _admit(self) -> list[tuple[Draw, Step]]:
        """Start what has a row and memory, in order; what the engine refuses has failed."""
        refused = []
        while self._waiting and len(self._running) < self.rows and self._held + self._waiting[0].blocks <= self.most_blocks:
            draw = self._waiting.popleft()
            try:
                self.engine.submit(draw.request, draw.shaper, on_read=draw.note_shared)
            except (CogitateError, *FAULTS) as error:
                log.error("the engine refused a request: %s", error)
                refused.append((draw, Step([], [], "failed")))
                continue
            self._running[draw.request.id] = draw
            self._held += draw.blocks
            draw.started = time.monotonic()
        return refused

    def _step(self) -> list[tuple[Draw, Step]]:
        if not self._running:
            return []
        steps: list[tuple[Draw, Step]] = []
        for completion in self.engine.poll():
            draw = self._running.pop(completion.request_id, None)
            if draw is None:  # it could not be stopped
                continue
            self._held -= draw.blocks
            ended: Ended = "stop" if completion.finish_reason == "stop" else "length"
            steps.append((draw, self._step_of(draw, list(completion.token_ids[draw.taken :]), ended)))
        fresh = self.engine.fresh({request_id: draw.taken for request_id, draw in self._running.items()})
        for request_id, tokens in fresh.items():
            if tokens:
                draw = self._running[request_id]
                steps.append((draw, self._step_of(draw, tokens, None)))
        failed = [draw for draw in self._running.values() if draw.shaper is not None and draw.shaper.failure]
        for draw in failed:
            log.error("a grammar failed: %s", draw.shaper.failure if draw.shaper is not None else "")
        self._drop({draw.request.id for draw in failed})
        return [*steps, *((draw, Step([], [], "failed")) for draw in failed)]

    def _step_of(self, draw: Draw, tokens: list[int], ended: Ended | None) -> Step:
        draw.taken += len(tokens)
        notes = [note for token in tokens if draw.shaper is not None and (note := draw.shaper.take(token)) is not None]
        return Step(tokens, notes, ended)
