"""The thread of the pool that starts workers, hands out jobs one at a time, and holds each verdict to its time limit.

A worker that exceeds the limit is killed and replaced; only its own completion becomes wrong. A completion whose worker dies
is tried once more in a fresh one: a second crash is its own fault (wrong), a second kill from outside is ours (no verdict).

A verdict whose completion is to be rewarded is followed by a second job, the user's own parts of the reward. It has a clock of
its own and goes to a worker that runs no code, also where the first one did. Its faults are the user's functions': no verdict.

Where the user's functions are trusted, a question that one of them has answered is not put again, and one that is being put now
waits for its answer, so that a resumed run reads what the killed one read (answers.py).

The limit is on processor time, so that a busy machine changes no verdict; wall time is limited to WALL_FACTOR times as much.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cogitate.answers import Answers
from cogitate.errors import ConfigError
from cogitate.rewards.verdicts import no_verdict, wrong
from cogitate.rewards.workers.jobs import KNOWN_SECONDS, PLACES, Job, JobQueues, Place
from cogitate.rewards.workers.process import KILLED_FROM_OUTSIDE, WorkerProcess
from cogitate.rewards.workers.results import Results
from cogitate.types import Verdict

WALL_FACTOR = 10
START_SECONDS = 120.0  # for a worker to start, or to load a library
EXIT_SECONDS = 5.0  # for a worker whose output has closed to end
START_TRIES = 3  # workers that die before they are ready, one after the other, before the pool gives up


@dataclass(slots=True)
class Worker:
    """A process and the job it is on.

    Attributes:
        verdict_given: the job's verdict is there, its audit is not.
        started, cpu_before: when the job's clock began, and how much processor time the process had used by then.
    """

    process: WorkerProcess
    place: Place
    home: int
    ready: bool = False
    job: Job | None = None
    verdict_given: bool = False
    started: float = 0.0
    cpu_before: float = 0.0
    deadline: float = 0.0


class Dispatcher:
    """Runs until `close`. All but the constructor, `wake` and `close` is for its own thread.

    Args:
        workers: verdicts in work at the same time, and homes of jobs.
        settings: what each worker is told first, see worker.py.
        answers: of trusted functions; None where the user's functions are confined.

    Attributes:
        decided: set once the first worker is ready, or the thread has failed.
    """

    def __init__(
        self,
        workers: int,
        seconds_limit: float,
        settings: Mapping[str, Any],
        queues: JobQueues,
        results: Results,
        answers: Answers | None = None,
    ):
        self._homes, self._seconds_limit, self._settings = workers, seconds_limit, dict(settings)
        self._queues, self._results, self._answers = queues, results, answers
        self._asked: dict[str, list[Job]] = {}  # a question that is being put now -> the jobs that wait for its answer
        self.workers: list[Worker] = []
        self.decided = threading.Event()
        self._failed_starts = 0
        self._closing = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._thread = threading.Thread(target=self._serve, name="grader-pool", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the thread look at the queues."""
        os.write(self._wake_write, b"!")

    def close(self) -> None:
        """End the workers and the thread."""
        self._closing = True
        self.wake()
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _serve(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        try:
            for home in range(self._homes):
                self._start_worker(home, "confined" if self._answers is None else "trusted")
            while not self._closing:
                self._hand_out()
                for key, _ in self._selector.select(self._next_deadline()):
                    if key.data is None:
                        os.read(self._wake_read, 4096)
                    else:
                        self._receive(key.data)
                self._enforce_limits()
        except Exception as error:  # noqa: BLE001 - handed to the pool's callers
            self._results.fail(error)
            self.decided.set()
        finally:
            for worker in list(self.workers):
                self._end(worker)
            self._selector.close()

    def _start_worker(self, home: int, place: Place) -> None:
        process = WorkerProcess({**self._settings, "place": place})
        worker = Worker(process, place, home, deadline=time.monotonic() + START_SECONDS)
        self.workers.append(worker)
        self._selector.register(process.replies, selectors.EVENT_READ, worker)

    def _hand_out(self) -> None:
        """Give waiting jobs to idle workers, at most one for each home at a time; each place has workers of its own."""
        free = self._homes - sum(worker.job is not None for worker in self.workers)
        for place in PLACES:
            kin = {worker.home: worker for worker in self.workers if worker.place == place}

            def busy_seconds(home: int, kin: Mapping[int, Worker] = kin) -> float:
                worker = kin.get(home)
                return 0.0 if worker is None or worker.job is None else time.monotonic() - worker.started

            for home in range(self._homes):
                worker = kin.get(home)
                waiting = self._queues.for_home(home, place=place, busy_seconds=busy_seconds)
                if not free or not waiting:
                    continue
                if worker is None:
                    self._start_worker(home, place)
                elif worker.ready and worker.job is None and (job := self._next_to_ask(waiting)) is not None:
                    self._assign(worker, job)
                    free -= 1

    def _next_to_ask(self, waiting: deque[Job]) -> Job | None:
        """The next job that no answer is there or under way for; those before it are answered, or wait for that answer."""
        while waiting:
            job = waiting.popleft()
            if not job.key or self._answers is None:
                return job
            if job.key in self._answers:
                self._conclude(job, self._answers[job.key])
            elif job.key in self._asked:
                self._asked[job.key].append(job)
            else:
                self._asked[job.key] = []
                return job
        return None

    def _assign(self, worker: Worker, job: Job) -> None:
        worker.job, worker.verdict_given = job, False
        self._start_clock(worker)
        worker.process.send(job.message)

    def _start_clock(self, worker: Worker) -> None:
        worker.started, worker.cpu_before = time.monotonic(), worker.process.cpu_seconds()
        assert worker.job is not None
        worker.deadline = worker.started + (worker.job.code_seconds if worker.place == "code" else self._seconds_limit)

    def _receive(self, worker: Worker) -> None:
        frames = worker.process.read()
        if frames is None:
            self._lost(worker)
            return
        for frame in frames:
            self._replied(worker, frame)

    def _replied(self, worker: Worker, reply: dict[str, Any]) -> None:
        if "config_error" in reply:
            raise ConfigError(reply["config_error"])
        if "ready" in reply:
            self._failed_starts = 0
            worker.ready = True
            self.decided.set()
            return
        assert worker.job is not None, reply
        if "loading" in reply:
            self._start_clock(worker)
            if reply["loading"]:
                worker.deadline = worker.started + START_SECONDS
            return
        job = worker.job
        if "audit" in reply:
            self._results.give_audit(job, reply["audit"])
            worker.job = None
            return
        if job.key and self._answers is not None and "fault" not in reply and reply.get("value") != "none":
            self._answers.keep(job.key, reply)
        self._let_go(job)
        self._conclude(job, reply)
        worker.verdict_given = job.audited
        if worker.verdict_given:
            self._start_clock(worker)
        else:
            worker.job = None

    def _conclude(self, job: Job, reply: Mapping[str, Any]) -> None:
        """What a worker has replied, or once replied: a verdict, or the values of the user's own parts."""
        if job.verdict is not None:
            self._results.give(job, no_verdict(reply["fault"]) if "fault" in reply else replace(job.verdict, **reply))
            return
        verdict = Verdict(**reply)
        if job.then is not None and verdict.value != "none":  # without a verdict there is no reward, nor parts of it
            assert not job.audited, "audits are of files, which have no rewards"
            self._queues.put_back(job.then(verdict))
            return
        self._results.give(job, verdict, audit_follows=job.audited)

    def _let_go(self, job: Job) -> None:
        """Queue the jobs again that wait for this one's answer."""
        for other in reversed(self._asked.pop(job.key, [])):
            self._queues.put_back(other)

    def _next_deadline(self) -> float | None:
        deadlines = [worker.deadline for worker in self.workers if worker.job is not None or not worker.ready]
        if self._queues.any_program():
            deadlines.append(time.monotonic() + KNOWN_SECONDS)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        for worker in list(self.workers):
            if now < worker.deadline or (worker.ready and worker.job is None):
                continue
            if not worker.ready:
                raise RuntimeError(f"a grader worker was not ready after {START_SECONDS:g} s")
            left = 0.0 if worker.place == "code" else self._time_left(worker, now)
            if left > 0:
                worker.deadline = now + max(0.01, left)
                continue
            self._give_up(worker, now - worker.started)

    def _time_left(self, worker: Worker, now: float) -> float:
        cpu_left = self._seconds_limit - (worker.process.cpu_seconds() - worker.cpu_before)
        return min(cpu_left, worker.started + WALL_FACTOR * self._seconds_limit - now)

    def _give_up(self, worker: Worker, seconds: float) -> None:
        job, given = worker.job, worker.verdict_given
        assert job is not None
        self._end(worker)
        self._let_go(job)
        if given:
            self._results.give_audit(job, {"library": "no opinion in time"})
        elif job.verdict is not None:
            self._results.give(job, no_verdict(f"rewards.parts gave no value within {self._seconds_limit:g} s"))
        elif job.key:
            self._results.give(job, no_verdict(f"the custom reward gave no answer within {seconds:.0f} s"))
        elif job.place == "code":
            self._results.give(job, no_verdict(f"the sandbox gave no result within {job.code_seconds:g} s"))
        else:
            reason = f"no verdict within {self._seconds_limit:g} s"
            self._results.give(job, Verdict("wrong", 0.0, reason, None, seconds))

    def _lost(self, worker: Worker) -> None:
        """The worker's output has closed: it died."""
        job = worker.job
        code = self._end(worker, patience=EXIT_SECONDS)
        if job is None:
            self._failed_starts += not worker.ready
            if self._failed_starts == START_TRIES:
                raise RuntimeError(f"{START_TRIES} grader workers ended before they were ready, the last with code {code}")
            return
        if worker.verdict_given:
            self._results.give_audit(job, {"library": "the worker was lost"})
            return
        self._let_go(job)
        job.tries += 1
        if job.tries == 1:
            self._queues.put_back(job)
        elif code in KILLED_FROM_OUTSIDE:
            self._results.give(job, no_verdict("the worker was killed twice while judging it"))
        elif job.verdict is not None:
            self._results.give(job, no_verdict(f"rewards.parts crashed the worker twice (exit code {code})"))
        else:
            self._results.give(job, wrong(f"judging it crashed the worker twice (exit code {code})"))

    def _end(self, worker: Worker, *, patience: float = 0.0) -> int:
        """Kill a worker; its exit code. See WorkerProcess.end."""
        self._selector.unregister(worker.process.replies)
        self.workers.remove(worker)
        return worker.process.end(patience=patience)
