"""Jobs of the pool: what one is, how long it may take, and which worker it waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cogitate.rewards.sandbox.limits import Limits
from cogitate.types import Verdict

LEFT_TO_OTHERS = 8  # programs waiting for another worker that an idle one does not take: the other may know their verdicts
KNOWN_SECONDS = 1.0  # a worker that is on one program for longer knows no verdict: what waits for it may go to others
CODE_SECONDS = 60.0  # a backstop: what a verdict on code may take beyond the sandbox's own limits for the program's time


def code_seconds(fields: Mapping[str, Any]) -> float:
    """How long a verdict on code may take: a problem may have limits of its own."""
    runs = 4 if fields.get("reference_program") else 1  # the reference and the program, each also traced
    try:
        return CODE_SECONDS + runs * Limits.of(fields.get("limits"), Limits()).total_seconds
    except ValueError:  # the grader will say so
        return CODE_SECONDS + Limits().total_seconds


@dataclass(slots=True)
class Job:
    """One completion to judge, or to evaluate the user's own parts of the reward of.

    Attributes:
        index: its place in the order of submission.
        home: of the worker that judges it if it can. One worker has all programs of a problem, since it runs equal ones once.
        message: what the worker is sent.
        parts_message: the verdict -> what the worker is sent that evaluates the user's own parts; None where there are none.
        verdict: of a job that evaluates these parts: what was judged before.
        tries: how many workers have died of it.
    """

    index: int
    home: int
    request_id: str
    message: bytes
    runs_code: bool
    audited: bool
    code_seconds: float
    parts_message: Callable[[Verdict], bytes] | None = None
    verdict: Verdict | None = None
    tries: int = 0


def parts_job(job: Job, verdict: Verdict) -> Job | None:
    """What follows a verdict: the user's own parts, in a worker that is confined whatever the problem is.

    A completion without a verdict has no reward, so that its parts need no value.
    """
    if job.parts_message is None or verdict.value == "none":
        return None
    return replace(job, message=job.parts_message(verdict), runs_code=False, parts_message=None, verdict=verdict, tries=0)


class JobQueues:
    """Waiting jobs, by whether they run code and by home. One thread adds, another takes; both may do so at any time."""

    def __init__(self, homes: int):
        self._waiting = {runs_code: [deque[Job]() for _ in range(homes)] for runs_code in (False, True)}

    def add(self, job: Job) -> None:
        self._waiting[job.runs_code][job.home].append(job)

    def put_back(self, job: Job) -> None:
        """Queue a job again, before all others of its home."""
        self._waiting[job.runs_code][job.home].appendleft(job)

    def any_program(self) -> bool:
        return any(self._waiting[True])

    def for_home(self, home: int, *, runs_code: bool, busy_seconds: Callable[[int], float]) -> deque[Job] | None:
        """The queue that the worker of a home should take its next job from: its own, else one that is overdue elsewhere.

        Args:
            busy_seconds: how long the worker of a home has been on its job; 0 where it is idle.
        """
        queues = self._waiting[runs_code]
        if queues[home]:
            return queues[home]
        other = max(range(len(queues)), key=lambda home: len(queues[home]))
        waits = runs_code and busy_seconds(other) <= KNOWN_SECONDS
        return queues[other] if len(queues[other]) > (LEFT_TO_OTHERS if waits else 0) else None
