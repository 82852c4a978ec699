"""What a node's grading process does: a pool of graders, asked in short turns. It knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cogitate.cluster.worker import LONGEST_TURN, Facts, facts_here
from cogitate.config import Config
from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox.isolation import Isolation, open_local_sandbox, read_packages
from cogitate.rewards.workers.pool import GraderPool
from cogitate.types import Ending, Problem, Verdict


@dataclass(frozen=True, slots=True)
class Submission:
    """A completion to be judged, as `Grader.submit` is given it.

    Attributes:
        number: its name between driver and node.
    """

    number: int
    request_id: str
    problem: Problem
    completion: str
    contract: str
    ending: Ending | None


@dataclass(frozen=True, slots=True)
class GraderFacts:
    """About the process, its machine, and why no program may run there ("" where programs are isolated)."""

    process: Facts
    refuses_code: str


class GradingWorker:
    """A pool of `workers` graders on this node. Programs of models run here in isolation or not at all, whatever the driver's
    machine allows itself by rewards.unsafe_local."""

    def __init__(self, config: Config, workers: int):
        rewards = config.rewards
        self._isolation = Isolation(False, read_packages(rewards.allowed_packages), rewards.remote_sandbox)
        self._pool = GraderPool(
            workers, rewards.seconds_limit, packages=self._isolation.packages, remote_sandbox=self._isolation.remote
        )

    def facts(self) -> GraderFacts:
        try:
            open_local_sandbox(self._isolation)
        except SandboxUnavailableError:
            return GraderFacts(facts_here(), "model-written code cannot be isolated there")
        return GraderFacts(facts_here(), "")

    def take_turn(self, submissions: Sequence[Submission]) -> list[tuple[int, Verdict]]:
        """Begin to judge these; the verdicts that are ready, after a moment where none is."""
        for each in submissions:
            self._pool.submit(str(each.number), each.problem, each.completion, each.contract, each.ending)
        return [(int(name), verdict) for name, verdict in self._pool.poll(timeout=LONGEST_TURN)]

    def close(self) -> None:
        self._pool.close()
