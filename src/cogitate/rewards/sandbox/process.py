"""One sandboxed process from start to end: its pipes, its limits, and the certainty that nothing of it is left.

Everything happens in the calling thread, in one poll loop: no signals, no threads, no waiting for the end of a pipe that a
survivor may hold. A child (see `child.py`) knows how to start, measure and kill; this file knows what to wait for.
"""

from __future__ import annotations

import json
import marshal
import os
import select
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox import inside
from cogitate.rewards.sandbox.child import Child, Pipes
from cogitate.rewards.sandbox.data import BadDataError, carry, decode_text
from cogitate.rewards.sandbox.limits import Ending, Limits, RunResult

WATCH_SECONDS = 0.03  # between two looks at the tree's memory and processor time
READ_BYTES = 1 << 18  # from one pipe at a time
STARVED_FACTOR = 5  # a program that the machine lets wait may take so many times its wall limit
START_SECONDS = 60.0  # for the sandbox itself to come up on a very busy machine


class ProgramEndedError(Exception):
    """The program is gone, or has to go: `ending` says why."""

    def __init__(self, ending: Ending, exit_code: int | None = None):
        super().__init__(ending)
        self.ending = ending
        self.exit_code = exit_code


class SandboxProcess:
    """A program in its own fresh sandbox; use it in a `with` statement, whose end kills and reaps the whole tree.

    It ends with the thread that made it: the kernel ties the one to the other.

    Args:
        child_class: the level's way of starting a process.
        limits: see Limits.
        source: the program's text.
        mode: "script" (runs to its end as `__main__`), "calls" (answers calls to its functions), or "extension": the source
            is ours and serves `extra` orders of its own.
        stdin: what a script reads from standard input.
        tests: how many tests will be asked of this process; its processor time is bounded by that many.
        packages: directories of installed packages the program may import.

    Raises:
        SandboxUnavailableError: the sandbox did not come up; never for anything the program does.
    """

    def __init__(
        self,
        child_class: type[Child],
        limits: Limits,
        source: str,
        *,
        mode: str,
        stdin: bytes = b"",
        tests: int = 1,
        packages: tuple[Path, ...] = (),
        extra: Mapping[str, Any] | None = None,
    ):
        self.limits = limits
        self.stdout, self.stderr, self.answers = bytearray(), bytearray(), bytearray()
        self.exit_code: int | None = None
        self._started = time.monotonic()
        self._phase_started = self._next_watch = self._started
        self._phase_cpu = self._phase_starved = self.cpu_seconds = 0.0
        self._ready = False
        self._closed = False
        self._pipes = Pipes()
        try:
            self.child = child_class(self._pipes, limits, tests, packages)
        except OSError as error:
            self._pipes.close()
            raise SandboxUnavailableError(f"no process can be started: {error}") from error
        except BaseException:  # Ctrl-C, too: nobody has this object yet, and its pipes would stay open
            self._pipes.close()
            raise
        self._readers = {self._pipes.stdout, self._pipes.stderr, self._pipes.answers}
        self._to_write = {self._pipes.orders: memoryview(b"")}
        if stdin:
            self._to_write[self._pipes.stdin] = memoryview(stdin)
        else:
            self._pipes.close_one(self._pipes.stdin)
        self._child_ended = False
        try:
            self._start({"prelude": "", **self.child.orders, **(extra or {}), "mode": mode, "source": source})
        except BaseException:  # Ctrl-C, too: nobody has this object yet, and its program would go on
            self.close()
            raise

    def __enter__(self) -> SandboxProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, order: dict[str, Any]) -> None:
        """Queue an order to the guest; `receive` and `finish` write it. Raises ValueError where it is no plain data."""
        carried = carry(order)
        data = marshal.dumps(order if carried is order else {"carried": carried})
        self._queue(self._pipes.orders, len(data).to_bytes(8, "little") + data)

    def receive(self) -> dict[str, Any]:
        """The guest's next answer: {"value": plain data} or {"error": text}. Raises ProgramEndedError."""
        while (answer := self._take_answer()) is None:
            if self._child_ended:
                raise ProgramEndedError("exit", self.exit_code)
            self._turn()
        return answer

    def begin_test(self) -> None:
        """Start counting the time of the next test."""
        usage = self.child.usage()
        self._phase_started = time.monotonic()
        self._phase_cpu = self.cpu_seconds = max(self.cpu_seconds, usage.cpu_seconds)
        self._phase_starved = usage.starved_seconds

    def finish(self) -> RunResult:
        """Wait for a script's end, or for the limit it exceeds."""
        ending: Ending = "exit"
        try:
            while not self._child_ended:
                self._turn()
        except ProgramEndedError as ended:
            ending = ended.ending
        self.close()
        exit_code = self.exit_code if ending == "exit" else None
        if ending == "exit" and exit_code == 137 and self.cpu_seconds >= self.limits.cpu_seconds:
            ending, exit_code = "cpu", None  # the kernel's limit was quicker than the watch
        seconds = time.monotonic() - self._started
        return RunResult(ending, exit_code, bytes(self.stdout), bytes(self.stderr), self.cpu_seconds, seconds)

    def close(self) -> None:
        """Kill the whole tree, reap it, and give everything back. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._end_child()
        finally:
            self._pipes.close()

    def _end_child(self) -> None:
        self.exit_code, cpu_seconds = self.child.end()
        self.cpu_seconds = max(self.cpu_seconds, cpu_seconds)  # a tree that was killed does not report all it used
        self._child_ended = True
        self._drain()

    def _start(self, orders: dict[str, Any]) -> None:
        if not self.child.has_guest:
            self._queue(self._pipes.orders, guest_code())
        self.send(orders)
        deadline = self._started + START_SECONDS
        while b'"ready"' not in self.answers:
            if self._child_ended or time.monotonic() > deadline:
                why = self.stderr.decode(errors="replace").strip()[-500:] or "it said nothing"
                raise SandboxUnavailableError(f"the sandbox did not start: {why}")
            self._turn(limited=False)
        del self.answers[: 8 + len(b'"ready"')]
        self._ready = True
        self._phase_started = time.monotonic()

    def _queue(self, descriptor: int, data: bytes) -> None:
        self._to_write[descriptor] = memoryview(bytes(self._to_write[descriptor]) + data)

    def _take_answer(self) -> dict[str, Any] | None:
        """The first whole answer read so far. Raises ProgramEndedError where it is too long or no answer at all."""
        if len(self.answers) < 8:
            return None
        length = int.from_bytes(self.answers[:8], "little")
        if length > self.limits.message_bytes:
            raise ProgramEndedError("output")
        if len(self.answers) < 8 + length:
            return None
        text = bytes(self.answers[8 : 8 + length])
        del self.answers[: 8 + length]
        return read_answer(text)

    def _turn(self, *, limited: bool = True) -> None:
        """Wait a moment for the pipes or the child's end, move what can be moved, and hold the program to its limits."""
        poll = select.poll()
        for descriptor in self._readers:
            poll.register(descriptor, select.POLLIN)
        for descriptor, data in self._to_write.items():
            if data:
                poll.register(descriptor, select.POLLOUT)
        poll.register(self.child.exit_descriptor, select.POLLIN)
        for descriptor, events in poll.poll(WATCH_SECONDS * 1000):
            if descriptor in self._to_write:
                self._write(descriptor)
            elif descriptor == self.child.exit_descriptor:
                self._end_child()
            elif events & (select.POLLIN | select.POLLHUP):
                self._read(descriptor)
        if len(self.stdout) + len(self.stderr) > self.limits.output_bytes:
            raise ProgramEndedError("output")
        if len(self.answers) > self.limits.message_bytes + 2 * READ_BYTES:
            raise ProgramEndedError("output")
        if limited and not self._child_ended and time.monotonic() >= self._next_watch:
            self._watch()

    def _watch(self) -> None:
        """Compare the tree's use with the limits."""
        now = time.monotonic()
        self._next_watch = now + WATCH_SECONDS
        if now - self._phase_started < WATCH_SECONDS:
            return
        usage = self.child.usage()
        self.cpu_seconds = max(self.cpu_seconds, usage.cpu_seconds)
        if self.cpu_seconds - self._phase_cpu > self.limits.cpu_seconds:
            raise ProgramEndedError("cpu")
        elapsed = now - self._phase_started
        own = elapsed - max(0.0, usage.starved_seconds - self._phase_starved)
        if own > self.limits.wall_seconds or elapsed > STARVED_FACTOR * self.limits.wall_seconds:
            raise ProgramEndedError("wall")
        if now - self._started > self.limits.total_seconds:
            raise ProgramEndedError("wall")
        if usage.memory_bytes > self.limits.memory_bytes or usage.disk_bytes > self.limits.disk_bytes:
            raise ProgramEndedError("memory")

    def _read(self, descriptor: int) -> int:
        """Move what stands in a pipe, bounded for each turn; returns how much."""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self._readers.discard(descriptor)
            return 0
        if descriptor == self._pipes.answers:
            self.answers += data
        else:
            target = self.stdout if descriptor == self._pipes.stdout else self.stderr
            room = self.limits.output_bytes + 1 - len(self.stdout) - len(self.stderr)
            target += data[: max(room, 0)]
        return len(data)

    def _write(self, descriptor: int) -> None:
        data = self._to_write[descriptor]
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            data = memoryview(b"")
        self._to_write[descriptor] = data
        if not data and descriptor == self._pipes.stdin:
            del self._to_write[descriptor]
            self._pipes.close_one(descriptor)

    def _drain(self) -> None:
        """Read what a dead tree left in its pipes: at most one pipe's worth each, since nobody writes any more."""
        for descriptor in tuple(self._readers):
            while len(self.answers) <= self.limits.message_bytes + 8 and self._read(descriptor):
                pass


def read_answer(text: bytes) -> dict[str, Any]:
    """{"value": ..} or {"error": ..} from an answer's text. Raises ProgramEndedError: a forged or broken answer."""
    try:
        head, closing = text[:9], text[-1:]
        if closing == b"}" and head == b'{"value":':
            return {"value": decode_text(text[9:-1])}
        if closing == b"}" and head == b'{"error":':
            error = json.loads(text[9:-1])
            if isinstance(error, str):
                return {"error": error}
    except (BadDataError, ValueError, RecursionError) as error:
        raise ProgramEndedError("protocol") from error
    raise ProgramEndedError("protocol")


@lru_cache(maxsize=1)
def guest_code() -> bytes:
    """The guest's compiled code, length first, as the bootstrap in `child` reads it."""
    data = marshal.dumps(compile(inside.source("guest"), "<sandbox guest>", "exec", dont_inherit=True))
    return len(data).to_bytes(8, "little") + data
