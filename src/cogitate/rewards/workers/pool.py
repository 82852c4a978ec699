"""The grader pool: worker processes that judge completions while the caller generates; see `dispatcher` for their limits.

Verdicts depend on the completion alone, never on the order in which they are finished.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, cast

from cogitate.answers import Answers
from cogitate.rewards.answer import Contract
from cogitate.rewards.grade import problem_fields
from cogitate.rewards.judge.judge import Judge
from cogitate.rewards.kinds import kind_of
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.sandbox.isolation import Isolation
from cogitate.rewards.workers.answers import digest_of, key_of
from cogitate.rewards.workers.dispatcher import Dispatcher
from cogitate.rewards.workers.jobs import Job, JobQueues, Place, code_seconds
from cogitate.rewards.workers.judging import JudgeDesk
from cogitate.rewards.workers.results import Results
from cogitate.types import Ending, Problem, Verdict


class GraderPool:
    """Judges completions in worker processes (backend.Grader). Use as a context manager, or call `close`.

    Args:
        workers: verdicts in work at the same time.
        seconds_limit: hard limit of one verdict.
        custom: "file.py:function" for problems of kind custom.
        parts: the user's own parts of the reward, name -> "file.py:function"; see `submit`.
        answers: let the user's functions use the network, files and processes, and keep what they answer there; the caller
            closes it. None: they are confined.
        unsafe_local, packages, remote_sandbox: where model-written code runs, see Isolation.
        judge: of problems of kind judge; the caller closes what it asks.
        audit: ask for a second opinion where a kind has one (math-verify's, of mathematics); `finish_audit` tells where it
            differs.

    Raises:
        ConfigError: a function of the user's cannot be loaded, or where code runs is not said well (from the constructor).
    """

    def __init__(
        self,
        workers: int = 2,
        seconds_limit: float = 5.0,
        *,
        custom: str | None = None,
        parts: Mapping[str, str] | None = None,
        answers: Answers | None = None,
        unsafe_local: bool = False,
        packages: Sequence[str] = (),
        remote_sandbox: str = "",
        audit: bool = False,
        judge: Judge | None = None,
    ):
        isolation = Isolation(unsafe_local, tuple(packages), remote_sandbox)
        isolation.check()
        self._homes, self._audit, self._closed = workers, audit, False
        self._has_parts, self._answers = bool(parts), answers
        self._users_place: Place = "confined" if answers is None else "trusted"
        self._queues, self._results = JobQueues(workers), Results()
        self._desk: JudgeDesk | None = None
        settings = {"custom": custom, "parts": dict(parts or {}), "isolation": isolation, "users_place": self._users_place}
        self._dispatcher = Dispatcher(workers, seconds_limit, settings, self._queues, self._results, answers)
        functions = {**({"custom": custom} if custom else {}), **(parts or {})}
        if functions:
            self._await_first_worker()
        self._digest = digest_of(functions)
        if judge is not None:
            self._desk = JudgeDesk(judge, self._judged, self._results.fail)

    def submit(self, request_id: str, problem: Problem, completion: str, contract: str, ending: Ending | None = None) -> None:
        """Queue one completion. With `ending`, the user's own parts of the reward are evaluated after its verdict."""
        assert not self._closed, "submit after close"
        kind, fields = kind_of(problem.kind), problem_fields(problem)
        audited, runs_code = self._audit and kind.second_opinion is not None, kind.runs_code(fields)
        message = {"kind": kind.name, "completion": completion, "contract": contract, "fields": fields, "audit": audited}
        index = self._results.expect(audited=audited)
        home = (zlib.crc32(problem.id.encode()) if runs_code else index) % self._homes
        place: Place = "code" if runs_code else self._users_place if kind.needs_function else "confined"
        job = Job(index, home, request_id, pickle.dumps(message), place, audited, code_seconds(fields))
        job.key = self._key(place, message)
        if self._has_parts and ending is not None:
            job.then = lambda verdict: self._parts_job(
                job, SampledCompletion(completion, *ending, verdict, problem, cast(Contract, contract))
            )
        if kind.needs_judge and self._desk is not None:
            self._desk.add(job, completion, cast(Contract, contract), fields)
            return
        self._queues.add(job)
        self._dispatcher.wake()

    def _judged(self, job: Job, verdict: Verdict) -> None:
        """A verdict of the judge's. The user's own parts of the reward follow, as they do after a worker's."""
        if job.then is None or verdict.value == "none":
            self._results.give(job, verdict)
            return
        self._queues.add(job.then(verdict))
        self._dispatcher.wake()

    def _parts_job(self, judged: Job, completion: SampledCompletion) -> Job:
        """What follows a verdict: the user's own parts, in a worker that runs no code whatever the problem is."""
        key = self._key(self._users_place, asdict(completion))
        message, verdict = pickle.dumps(completion), completion.verdict
        return replace(judged, message=message, place=self._users_place, key=key, then=None, verdict=verdict, tries=0)

    def _key(self, place: Place, asked: Mapping[str, Any]) -> str:
        return key_of(self._digest, asked) if place == "trusted" else ""

    def poll(self, timeout: float = 0.0) -> list[tuple[str, Verdict]]:
        """Verdicts that are ready, in order of submission, waiting up to `timeout` seconds for the first."""
        return self._results.poll(timeout)

    def pending(self) -> int:
        """Submitted completions whose verdict has not been returned."""
        return self._results.pending()

    def finish_audit(self) -> list[dict[str, Any]]:
        """Wait until every audit is done; where second opinions differ from ours, in order of submission."""
        return self._results.finish_audit()

    def close(self) -> None:
        """End the workers. Verdicts not yet given are lost."""
        if not self._closed:
            self._closed = True
            if self._desk is not None:
                self._desk.close()
            self._dispatcher.close()

    def __enter__(self) -> GraderPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _await_first_worker(self) -> None:
        self._dispatcher.decided.wait()
        failure = self._results.failure
        if failure is not None:
            self.close()
            raise failure
