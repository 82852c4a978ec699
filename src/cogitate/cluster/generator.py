"""A Generator whose completions are drawn by the processes of a pool.

A completion depends on its seed and the weights alone, so it does not matter which process draws it, with which others, or how
often: what a process that died had under way is drawn again elsewhere, with the same seeds, and is the same.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import finalize

from cogitate.backend import GenerationRequest
from cogitate.cluster.pool import GeneratorPool, Member
from cogitate.cluster.weights import Stamp, digest_of, read_model
from cogitate.cluster.worker import Turn
from cogitate.engine.scheduler import request_fault
from cogitate.errors import ClusterError, ConfigError, DataError
from cogitate.model.files.hf import load_config
from cogitate.types import Completion

SECONDS_OF_A_POLL = 0.5  # after which `poll` returns, so that an interruption is noticed
SPARE = 1.25  # of the object store, beside the weights
WEIGHTS = (".safetensors", ".safetensors.index.json")
Place = tuple[int, int]  # of a completion: number of its request, index of its seed

_names = itertools.count()


class ClusterGenerator:
    """Implements backend.Generator. Completions come in the order in which they finish, which varies; what they are does not.

    Each request is cut into units for as many processes as are free; a unit is the request with some of its seeds. The weights
    go out with the first turn after `load_weights`, and every turn names those it samples from.

    Args:
        model: a model directory.
        max_batch: completions that one process decodes at the same time.
    """

    def __init__(self, pool: GeneratorPool, model: Path, *, max_batch: int):
        self._pool, self._max_batch, self._name = pool, max_batch, f"generator-{next(_names)}"
        config = load_config(model)
        self.max_context, self._vocabulary = config.max_position_embeddings, config.vocab_size
        files = read_model(model)
        self._companions = {name: content for name, content in files.items() if not name.endswith(WEIGHTS)}
        self._model, self._freed = model, False
        self._stamp = Stamp(0, digest_of(files))
        self._sent: tuple[list[str], list[Any]] | None = None  # in the object store, until each process has them
        self._has: dict[Member, Stamp] = {}
        self._requests: dict[int, GenerationRequest] = {}
        self._number_of: dict[str, int] = {}
        self._open: dict[int, set[int]] = {}  # of each request, the indices of seeds that are not done
        self._queue: deque[Place] = deque()
        self._units: dict[Member, dict[str, list[Place]]] = {}
        self._done: list[tuple[Place, Completion]] = []
        self._numbers, self._unit_names = itertools.count(), itertools.count()
        pool.join(self)
        finalize(self, forget, pool, self._name).atexit = False  # what is left then ends with the pool

    @property
    def version(self) -> int:
        return self._stamp.version

    def submit(self, request: GenerationRequest) -> None:
        fault = request_fault(request, self._vocabulary, self.max_context)
        if fault is None and request.id in self._number_of:
            fault = "a request of this id is still pending: give each request its own id"
        if fault is None and request.thinking is not None and self._pool.settings.engine == "vllm":
            fault = "vLLM sets no tokens of a thinking budget: set cluster.engine=own"
        if fault is not None:
            raise DataError(f"request {request.id}: {fault}")
        number = next(self._numbers)
        self._requests[number], self._number_of[request.id] = request, number
        self._open[number] = set(range(len(request.seeds)))
        self._queue.extend((number, index) for index in range(len(request.seeds)))

    def pending(self) -> int:
        return sum(map(len, self._open.values())) + len(self._done)

    def poll(self) -> list[Completion]:
        """What has finished: after a moment, or [] where nothing has by then."""
        if not self._done:
            self._hand_out()
            self._pool.wait(SECONDS_OF_A_POLL)
            self._hand_out()
        done, self._done = sorted(self._done, key=lambda pair: pair[0]), []
        return [completion for _, completion in done]

    @contextlib.contextmanager
    def beside(self) -> Iterator[list[float]]:
        """A thread polls, since processes work in short turns."""
        times: list[float] = []
        errors: list[BaseException] = []
        left = threading.Event()

        def work() -> None:
            try:
                while any(self._open.values()) and not left.is_set():
                    self._hand_out()
                    self._pool.wait(SECONDS_OF_A_POLL)
                    self._hand_out()
                    times.extend([time.perf_counter()] * (len(self._done) - len(times)))
            except BaseException as error:  # noqa: BLE001 - raised where the caller waits for the thread
                errors.append(error)

        thread = threading.Thread(target=work, name="generator", daemon=True)
        thread.start()
        try:
            yield times
        finally:
            left.set()
            thread.join()
        if errors:
            raise errors[0]

    def partial(self, request_id: str, *, start: int = 0) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        number = self._number_of.get(request_id)
        for member, units in list(self._units.items()):
            for name in [name for name, places in units.items() if places[0][0] == number]:
                found |= self._pool.ask(member, "partial", self._name, name, start) or {}
        return found

    def abort(self, request_ids: Sequence[str]) -> list[Completion]:
        numbers = {self._number_of[request_id] for request_id in request_ids if request_id in self._number_of}
        stopped: dict[Place, Completion] = {}
        self._queue = deque(place for place in self._queue if place[0] not in numbers)
        for member in list(self._units):
            self._settle(member)
            names = [name for name, places in self._units.get(member, {}).items() if places[0][0] in numbers]
            for completion in (self._pool.ask(member, "abort", self._name, names) or []) if names else []:
                place = self._place_of(member, completion)
                stopped[place] = self._own(place, completion)
        self._queue = deque(place for place in self._queue if place[0] not in numbers)  # what a death has brought back
        for number in numbers & self._open.keys():
            request = self._requests[number]
            for index in list(self._open[number]):
                nothing = Completion(request.id, (), (), "abort", ((self.version, 0),), request.seeds[index])
                stopped.setdefault((number, index), nothing)
                self._close((number, index))
        return [stopped[place] for place in sorted(stopped)]

    def tokens_per_step(self) -> float | None:
        return None  # of the processes' engines it is not asked

    def free_weights(self) -> None:
        assert not self.pending(), "completions are pending: they need the weights"
        self._sent, self._freed = None, True
        for member in self._has:
            self._pool.tell(member, "free_weights", self._name)
        self._has.clear()

    def load_weights(self, path: Path, version: int) -> None:
        assert not self.pending(), "completions are pending: weights change between steps here"
        self._model, self._freed, self._sent = path, False, None
        files = {**self._companions, **read_model(path)}
        self._stamp = Stamp(version, digest_of(files))
        self._send(files)

    def take(self, member: Member, turn: Turn) -> None:
        """A turn of a process has ended: check whose weights its completions are of."""
        if turn.stamp != self._stamp:
            raise ClusterError(f"{member} has sampled from weights of {turn.stamp} where {self._stamp} were asked for")
        for completion in turn.completions:
            if completion.token_ids and completion.weight_versions != ((self.version, len(completion.token_ids)),):
                raise ClusterError(f"{member} returned tokens of versions {completion.weight_versions}, not of {self._stamp}")
            place = self._place_of(member, completion)
            self._done.append((place, self._own(place, completion)))
            self._close(place)

    def lost(self, member: Member) -> int:
        """A process has died: what it had under way is asked again, first of all."""
        self._has.pop(member, None)
        places = sorted(place for places in self._units.pop(member, {}).values() for place in places)
        self._queue.extendleft(reversed(places))
        return len(places)

    def _hand_out(self) -> None:
        """Let idle processes go on, with new units where they have room."""
        members = self._pool.members
        waiting = sum(map(len, self._open.values()))
        share = min(self._max_batch, -(-waiting // len(members)))
        for member in members:
            under_way = sum(map(len, self._units.get(member, {}).values()))
            if not member.idle or not (under_way or self._queue):
                continue
            units = self._next_units(member, share - under_way)
            if units or under_way:
                self._begin(member, units)

    def _begin(self, member: Member, units: Sequence[GenerationRequest]) -> None:
        assert not self._freed, "the weights have been freed: load some"
        names: list[str] = []
        contents: list[Any] = []
        if self._has.get(member) != self._stamp:
            if self._sent is None:
                self._send(self._read_again())
            assert self._sent is not None
            names, contents = self._sent
            self._has[member] = self._stamp
        self._pool.begin(member, self, self._name, self._stamp, units, names, *contents)
        if all(self._has.get(each) == self._stamp for each in self._pool.members):
            self._sent = None

    def _next_units(self, member: Member, room: int) -> list[GenerationRequest]:
        """Requests for at most `room` completions of the queue."""
        units: list[GenerationRequest] = []
        places = [self._queue.popleft() for _ in range(min(room, len(self._queue)))]
        for number, group in itertools.groupby(places, key=lambda place: place[0]):
            request, mine = self._requests[number], list(group)
            name = str(next(self._unit_names))
            self._units.setdefault(member, {})[name] = mine
            units.append(replace(request, id=name, seeds=tuple(request.seeds[index] for _, index in mine)))
        return units

    def _place_of(self, member: Member, completion: Completion) -> Place:
        """Of a completion that a process returns; it is under way there no more."""
        places = self._units[member][completion.request_id]
        place = next(place for place in places if self._requests[place[0]].seeds[place[1]] == completion.seed)
        places.remove(place)
        if not places:
            del self._units[member][completion.request_id]
        return place

    def _own(self, place: Place, completion: Completion) -> Completion:
        return replace(completion, request_id=self._requests[place[0]].id)

    def _close(self, place: Place) -> None:
        """A completion is done."""
        number, index = place
        self._open[number].remove(index)
        if not self._open[number]:
            del self._open[number], self._number_of[self._requests.pop(number).id]

    def _settle(self, member: Member) -> None:
        """Wait for the end of a member's turn."""
        while not member.idle:
            self._pool.wait(SECONDS_OF_A_POLL)

    def _send(self, files: dict[str, Any]) -> None:
        """Put the weights where processes fetch them from."""
        settings, size = self._pool.settings, math.ceil(sum(len(content) for content in files.values()) / 2**20)
        if size > settings.object_store and not settings.address:
            raise ConfigError(
                f"{self._model}: weights of {size} MiB do not fit into Ray's object store of {settings.object_store} MiB: "
                f"set cluster.object_store={math.ceil(SPARE * size)}"
            )
        self._sent = list(files), [self._pool.put(content) for content in files.values()]

    def _read_again(self) -> dict[str, Any]:
        """The weights that processes sample from, for one that is new."""
        files = {**self._companions, **read_model(self._model)}
        if (found := digest_of(files)) != self._stamp.digest:
            raise ClusterError(f"{self._model}: has changed to {found[:12]} since it was loaded as {self._stamp}")
        return files


def forget(pool: GeneratorPool, name: str) -> None:
    """Have all processes drop an engine."""
    with contextlib.suppress(ClusterError):  # of a Ray that has died: whoever waits for a completion hears of it
        for member in pool.members:
            pool.tell(member, "drop", name)
