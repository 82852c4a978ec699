"""The pool's desk for problems that a model judges: a thread that hands what waits to the judge, all of it at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from cogitate.rewards.answer import Contract, answer_text
from cogitate.rewards.judge.judge import Answer, Judge
from cogitate.rewards.workers.jobs import Job
from cogitate.types import Verdict

Waiting = tuple[Job, Answer]


class _Closed(Exception):  # noqa: N818 - ends the waiting, and is no error
    """The pool is closed while the judge is asked."""


class JudgeDesk:
    """Verdicts of a judge.

    Args:
        give: gets each job with its verdict.
        fail: gets the error where the judge can be asked no more.
    """

    def __init__(self, judge: Judge, give: Callable[[Job, Verdict], None], fail: Callable[[BaseException], None]):
        self._judge, self._give, self._fail = judge, give, fail
        self._changed = threading.Condition()
        self._waiting: list[Waiting] = []
        self._closed = False
        judge.on_wait = self._stop_if_closed
        self._thread = threading.Thread(target=self._run, name="judge desk", daemon=True)
        self._thread.start()

    def add(self, job: Job, completion: str, contract: Contract, fields: Mapping[str, Any]) -> None:
        gold = fields.get("gold")
        answer = Answer(
            str(fields["question"]),
            answer_text(completion, contract),
            None if gold in (None, "") else str(gold),
            fields.get("rubric") or "",
        )
        with self._changed:
            self._waiting.append((job, answer))
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _stop_if_closed(self) -> None:
        if self._closed:
            raise _Closed

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                batch, self._waiting = self._waiting, []
                if self._closed:
                    return
            try:
                verdicts = self._judge.grade([answer for _, answer in batch])
            except _Closed:
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the pool's callers would wait for ever
                self._fail(error)
                return
            for (job, _), verdict in zip(batch, verdicts, strict=True):
                self._give(job, verdict)
