"""The grader pool: worker processes that judge completions, each verdict under a hard time limit.

A thread hands out one completion at a time and watches the clock, so grading goes on while the caller generates. A worker
that exceeds the limit is killed and replaced; only its own completion becomes wrong. A completion whose worker dies is tried
once more in a fresh one: a second crash is its own fault (wrong), a second kill from outside is ours (no verdict). Verdicts
depend on the completion alone, never on the order in which they are finished.

The limit is on processor time, so that a busy machine changes no verdict; wall time is limited to WALL_FACTOR times as much.
"""

from __future__ import annotations

import os
import pickle
import selectors
import threading
import time
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from cogitate.errors import ConfigError
from cogitate.rewards.grade import problem_fields
from cogitate.rewards.kinds import kind_of
from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.rewards.sandbox.limits import Limits
from cogitate.rewards.verdicts import no_verdict, wrong
from cogitate.rewards.workers.process import KILLED_FROM_OUTSIDE, WorkerProcess
from cogitate.types import Problem, Verdict

WALL_FACTOR = 10
LEFT_TO_OTHERS = 8  # programs waiting for another worker that an idle one does not take: the other may know their verdicts
KNOWN_SECONDS = 1.0  # a worker that is on one program for longer knows no verdict: what waits for it may go to others
START_SECONDS = 120.0  # for a worker to start, or to load a library
EXIT_SECONDS = 5.0  # for a worker whose output has closed to end
START_TRIES = 3  # workers that die before they are ready, one after the other, before the pool gives up
CODE_SECONDS = 60.0  # a backstop: what a verdict on code may take beyond the sandbox's own limits for the program's time


def code_seconds(fields: Mapping[str, Any]) -> float:
    """How long a verdict on code may take: a problem may have limits of its own."""
    runs = 4 if fields.get("reference_program") else 1  # the reference and the program, each also traced
    try:
        return CODE_SECONDS + runs * Limits.of(fields.get("limits"), Limits()).total_seconds
    except ValueError:  # the grader will say so
        return CODE_SECONDS + Limits().total_seconds


@dataclass(slots=True)
class _Job:
    """One completion to judge.

    Attributes:
        index: its place in the order of submission.
        home: of the worker that judges it if it can. One worker has all programs of a problem, since it runs equal ones once.
    """

    index: int
    home: int
    request_id: str
    message: bytes
    runs_code: bool
    audited: bool
    code_seconds: float
    tries: int = 0


@dataclass(slots=True)
class _Worker:
    """A process, what it has sent so far, and the job it is on."""

    process: WorkerProcess
    runs_code: bool
    home: int
    ready: bool = False
    job: _Job | None = None
    verdict_given: bool = False  # the job's verdict is there, its audit is not
    started: float = 0.0
    cpu_before: float = 0.0
    deadline: float = 0.0


class GraderPool:
    """Judges completions in worker processes (backend.Grader). Use as a context manager, or call `close`.

    Args:
        workers: verdicts in work at the same time.
        seconds_limit: hard limit of one verdict.
        custom: "file.py:function" for problems of kind custom.
        unsafe_local, packages, remote_sandbox: where model-written code runs, see Isolation.
        audit: ask for a second opinion where a kind has one (math-verify's, of mathematics); `finish_audit` tells where it
            differs.

    Raises:
        ConfigError: the custom reward cannot be loaded, or where code runs is not said well (from the constructor).
    """

    def __init__(
        self,
        workers: int = 2,
        seconds_limit: float = 5.0,
        *,
        custom: str | None = None,
        unsafe_local: bool = False,
        packages: Sequence[str] = (),
        remote_sandbox: str = "",
        audit: bool = False,
    ):
        self._workers_wanted, self._seconds_limit = workers, seconds_limit
        Isolation(unsafe_local, tuple(packages), remote_sandbox).check()
        self._settings = {
            "custom": custom,
            "unsafe_local": unsafe_local,
            "packages": tuple(packages),
            "remote_sandbox": remote_sandbox,
        }
        self._audit = audit
        self._disagreements: dict[int, dict[str, Any]] = {}
        self._unaudited: set[int] = set()
        self._changed = threading.Condition()
        # By runs_code, then by home.
        self._waiting = {runs_code: [deque[_Job]() for _ in range(workers)] for runs_code in (False, True)}
        self._done: dict[int, tuple[str, Verdict]] = {}
        self._submitted = self._returned = 0
        self._closing = False
        self._failure: BaseException | None = None
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._thread = threading.Thread(target=self._serve, name="grader-pool", daemon=True)
        self._thread.start()
        if custom is not None:
            self._await_first_worker()

    def submit(self, request_id: str, problem: Problem, completion: str, contract: str) -> None:
        """Queue one completion."""
        kind, fields = kind_of(problem.kind), problem_fields(problem)
        audited = self._audit and kind.second_opinion is not None
        job = {"kind": kind.name, "completion": completion, "contract": contract, "fields": fields, "audit": audited}
        message = pickle.dumps(job)
        with self._changed:
            assert not self._closing, "submit after close"
            needs_sandbox = kind.runs_code(fields)
            home = zlib.crc32(problem.id.encode()) if needs_sandbox else self._submitted
            home %= self._workers_wanted
            self._waiting[needs_sandbox][home].append(
                _Job(self._submitted, home, request_id, message, needs_sandbox, audited, code_seconds(fields))
            )
            if audited:
                self._unaudited.add(self._submitted)
            self._submitted += 1
        self._wake()

    def poll(self, timeout: float = 0.0) -> list[tuple[str, Verdict]]:
        """Verdicts that are ready, in order of submission, waiting up to `timeout` seconds for the first."""
        with self._changed:
            if self._submitted > self._returned:
                self._changed.wait_for(lambda: self._done or self._failure is not None, timeout)
            if self._failure is not None:
                raise self._failure
            ready = [self._done.pop(index) for index in sorted(self._done)]
            self._returned += len(ready)
            return ready

    def pending(self) -> int:
        """Submitted completions whose verdict has not been returned."""
        with self._changed:
            return self._submitted - self._returned

    def finish_audit(self) -> list[dict[str, Any]]:
        """Wait until every audit is done; where the second opinions differ from ours, in order of submission."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or not self._unaudited)
            if self._failure is not None:
                raise self._failure
            return [self._disagreements[index] for index in sorted(self._disagreements)]

    def close(self) -> None:
        """End the workers. Verdicts not yet given are lost."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
        self._wake()
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def __enter__(self) -> GraderPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # All that follows runs in the pool's thread.

    def _serve(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        try:
            for home in range(self._workers_wanted):
                self._start_worker(home, runs_code=False)
            while not self._closing:
                self._hand_out()
                for key, _ in self._selector.select(self._next_deadline()):
                    if key.data is None:
                        os.read(self._wake_read, 4096)
                    else:
                        self._receive(key.data)
                self._enforce_limits()
        except Exception as error:  # noqa: BLE001 - handed to the caller of poll
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            for worker in list(self._workers):
                self._end(worker)
            self._selector.close()

    def _start_worker(self, home: int, *, runs_code: bool) -> None:
        process = WorkerProcess({**self._settings, "runs_code": runs_code})
        worker = _Worker(process, runs_code, home, deadline=time.monotonic() + START_SECONDS)
        self._workers.append(worker)
        self._selector.register(process.replies, selectors.EVENT_READ, worker)

    def _hand_out(self) -> None:
        """Give waiting jobs to idle workers, at most `workers` at a time; code goes to workers of its own."""
        free = self._workers_wanted - sum(worker.job is not None for worker in self._workers)
        for runs_code, queues in self._waiting.items():
            kin = {worker.home: worker for worker in self._workers if worker.runs_code == runs_code}
            for home in range(self._workers_wanted):
                worker, waiting = kin.get(home), queues[home] or self._overdue(queues, kin)
                if not free or not waiting:
                    continue
                if worker is None:
                    self._start_worker(home, runs_code=runs_code)
                elif worker.ready and worker.job is None:
                    self._assign(worker, waiting)
                    free -= 1

    def _overdue(self, queues: Sequence[deque[_Job]], kin: Mapping[int, _Worker]) -> deque[_Job] | None:
        """Jobs of another home that any worker may take."""
        home = max(range(len(queues)), key=lambda home: len(queues[home]))
        owner = kin.get(home)
        busy = owner is not None and owner.job is not None and time.monotonic() - owner.started > KNOWN_SECONDS
        waits = queues is self._waiting[True] and not busy
        return queues[home] if len(queues[home]) > (LEFT_TO_OTHERS if waits else 0) else None

    def _assign(self, worker: _Worker, waiting: deque[_Job]) -> None:
        with self._changed:
            worker.job = waiting.popleft()
        worker.verdict_given = False
        self._start_clock(worker)
        worker.process.send(worker.job.message)

    def _start_clock(self, worker: _Worker) -> None:
        worker.started, worker.cpu_before = time.monotonic(), worker.process.cpu_seconds()
        assert worker.job is not None
        worker.deadline = worker.started + (worker.job.code_seconds if worker.runs_code else self._seconds_limit)

    def _receive(self, worker: _Worker) -> None:
        frames = worker.process.read()
        if frames is None:
            self._lost(worker)
            return
        for frame in frames:
            self._replied(worker, frame)

    def _replied(self, worker: _Worker, reply: dict[str, Any]) -> None:
        if "config_error" in reply:
            raise ConfigError(reply["config_error"])
        if "ready" in reply:
            self._failed_starts = 0
            with self._changed:
                worker.ready = True
                self._changed.notify_all()
            return
        assert worker.job is not None, reply
        if "loading" in reply:
            self._start_clock(worker)
            if reply["loading"]:
                worker.deadline = worker.started + START_SECONDS
            return
        job = worker.job
        if "audit" in reply:
            self._note_audit(job, reply["audit"])
            worker.job = None
            return
        self._finish(job, Verdict(**reply), audit_follows=job.audited)
        worker.verdict_given = job.audited
        if worker.verdict_given:
            self._start_clock(worker)
        else:
            worker.job = None

    def _note_audit(self, job: _Job, opinions: dict[str, Any] | None) -> None:
        with self._changed:
            self._unaudited.discard(job.index)
            if opinions is not None:
                self._disagreements[job.index] = {"request_id": job.request_id, **opinions}
            self._changed.notify_all()

    def _finish(self, job: _Job, verdict: Verdict, *, audit_follows: bool = False) -> None:
        with self._changed:
            if not audit_follows:
                self._unaudited.discard(job.index)
            self._done[job.index] = (job.request_id, verdict)
            self._changed.notify_all()

    def _next_deadline(self) -> float | None:
        deadlines = [worker.deadline for worker in self._workers if worker.job is not None or not worker.ready]
        if any(self._waiting[True]):
            deadlines.append(time.monotonic() + KNOWN_SECONDS)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers):
            if now < worker.deadline or (worker.ready and worker.job is None):
                continue
            if not worker.ready:
                raise RuntimeError(f"a grader worker was not ready after {START_SECONDS:g} s")
            assert worker.job is not None
            left = 0.0 if worker.runs_code else self._time_left(worker, now)
            if left > 0:
                worker.deadline = now + max(0.01, left)
                continue
            self._give_up(worker, now - worker.started)

    def _time_left(self, worker: _Worker, now: float) -> float:
        cpu_left = self._seconds_limit - (worker.process.cpu_seconds() - worker.cpu_before)
        return min(cpu_left, worker.started + WALL_FACTOR * self._seconds_limit - now)

    def _give_up(self, worker: _Worker, seconds: float) -> None:
        job, given = worker.job, worker.verdict_given
        assert job is not None
        self._end(worker)
        if given:
            self._note_audit(job, {"library": "no opinion in time"})
            return
        if job.runs_code:
            self._finish(job, no_verdict(f"the sandbox gave no result within {job.code_seconds:g} s"))
        else:
            self._finish(job, Verdict("wrong", 0.0, f"no verdict within {self._seconds_limit:g} s", None, seconds))

    def _lost(self, worker: _Worker) -> None:
        """The worker's output has closed: it died."""
        job = worker.job
        code = self._end(worker, patience=EXIT_SECONDS)
        if job is None:
            self._failed_starts += not worker.ready
            if self._failed_starts == START_TRIES:
                raise RuntimeError(f"{START_TRIES} grader workers ended before they were ready, the last with code {code}")
            return
        if worker.verdict_given:
            self._note_audit(job, {"library": "the worker was lost"})
            return
        job.tries += 1
        if job.tries == 1:
            with self._changed:
                self._waiting[job.runs_code][job.home].appendleft(job)
        elif code in KILLED_FROM_OUTSIDE:
            self._finish(job, no_verdict("the worker was killed twice while judging it"))
        else:
            self._finish(job, wrong(f"judging it crashed the worker twice (exit code {code})"))

    def _end(self, worker: _Worker, *, patience: float = 0.0) -> int:
        """Kill a worker; its exit code. See WorkerProcess.end."""
        self._selector.unregister(worker.process.replies)
        self._workers.remove(worker)
        return worker.process.end(patience=patience)

    # Back in the caller's thread.

    def _wake(self) -> None:
        os.write(self._wake_write, b"!")

    def _await_first_worker(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or any(worker.ready for worker in self._workers))
        if self._failure is not None:
            self.close()
            raise self._failure
