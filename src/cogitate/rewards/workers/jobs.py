"""Jobs of the pool: what one is, how long it may take, and which worker it waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

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


# Workers by what they may do: confined ones judge; those of code start sandboxes for what models wrote; trusted ones call the
# user's functions where the user has said that these may use the network and files.
Place = Literal["confined", "code", "trusted"]
PLACES: tuple[Place, ...] = get_args(Place)


@dataclass(slots=True)
class Job:
    """One completion to judge, or to evaluate the user's own parts of the reward of.

    Attributes:
        index: its place in the order of submission.
        home: of the worker that judges it if it can. One worker has all programs of a problem, since it runs equal ones once.
        message: what the worker is sent.
        place: the workers that may do it.
        key: of what a trusted function is asked, see answers.py.
        then: the verdict -> the job that evaluates the user's own parts of the reward; None where there are none.
        verdict: of a job that evaluates these parts: what was judged before.
        tries: how many workers have died of it.
    """

    index: int
    home: int
    request_id: str
    message: bytes
    place: Place
    audited: bool
    code_seconds: float
    key: str = ""
    then: Callable[[Verdict], Job] | None = None
    verdict: Verdict | None = None
    tries: int = 0


class JobQueues:
    """Waiting jobs, by place and by home. One thread adds, another takes; both may do so at any time."""

    def __init__(self, homes: int):
        self._waiting = {place: [deque[Job]() for _ in range(homes)] for place in PLACES}

    def add(self, job: Job) -> None:
        self._waiting[job.place][job.home].append(job)

    def put_back(self, job: Job) -> None:
        """Queue a job again, before all others of its home."""
        self._waiting[job.place][job.home].appendleft(job)

    def any_program(self) -> bool:
        return any(self._waiting["code"])

    def for_home(self, home: int, *, place: Place, busy_seconds: Callable[[int], float]) -> deque[Job] | None:
        """The queue that the worker of a home should take its next job from: its own, else one that is overdue elsewhere.

        Args:
            busy_seconds: how long the worker of a home has been on its job; 0 where it is idle.
        """
        queues = self._waiting[place]
        if queues[home]:
            return queues[home]
        other = max(range(len(queues)), key=lambda home: len(queues[home]))
        waits = place == "code" and busy_seconds(other) <= KNOWN_SECONDS
        return queues[other] if len(queues[other]) > (LEFT_TO_OTHERS if waits else 0) else None
