"""Verdicts on their way from the pool's thread to its callers, with the audits that follow some of them."""

from __future__ import annotations

import threading
from typing import Any

from cogitate.rewards.workers.jobs import Job
from cogitate.types import Verdict


class Results:
    """What two threads share under one lock."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._done: dict[int, tuple[str, Verdict]] = {}
        self._submitted = self._returned = 0
        self._unaudited: set[int] = set()
        self._disagreements: dict[int, dict[str, Any]] = {}
        self._failure: BaseException | None = None

    # For callers of the pool.

    def expect(self, *, audited: bool) -> int:
        """Announce a job; its index in the order of submission."""
        with self._changed:
            index = self._submitted
            self._submitted += 1
            if audited:
                self._unaudited.add(index)
            return index

    def poll(self, timeout: float) -> list[tuple[str, Verdict]]:
        """Verdicts that are ready, in order of submission, waiting up to `timeout` seconds for the first."""
        with self._changed:
            if self._submitted > self._returned:
                self._changed.wait_for(lambda: self._done or self._failure is not None, timeout)
            self._raise_failure()
            ready = [self._done.pop(index) for index in sorted(self._done)]
            self._returned += len(ready)
            return ready

    def pending(self) -> int:
        """Announced jobs whose verdict has not been returned."""
        with self._changed:
            return self._submitted - self._returned

    def finish_audit(self) -> list[dict[str, Any]]:
        """Wait until every audit is done; where second opinions differ from ours, in order of submission."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or not self._unaudited)
            self._raise_failure()
            return [self._disagreements[index] for index in sorted(self._disagreements)]

    @property
    def failure(self) -> BaseException | None:
        """What ended the pool's thread, if anything did."""
        with self._changed:
            return self._failure

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    # For the pool's thread.

    def give(self, job: Job, verdict: Verdict, *, audit_follows: bool = False) -> None:
        with self._changed:
            if not audit_follows:
                self._unaudited.discard(job.index)
            self._done[job.index] = (job.request_id, verdict)
            self._changed.notify_all()

    def give_audit(self, job: Job, opinions: dict[str, Any] | None) -> None:
        """`opinions`: None where the two agree."""
        with self._changed:
            self._unaudited.discard(job.index)
            if opinions is not None:
                self._disagreements[job.index] = {"request_id": job.request_id, **opinions}
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """The thread ends with this error: nothing more will come."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()
