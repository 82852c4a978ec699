"""A Grader that has completions judged on the driver's machine and on all further nodes of a cluster.

A verdict depends on the completion alone, so it does not matter where it is found, or how often: what a node that is lost was
judging is judged again elsewhere. Programs go only to nodes that isolate them; what needs a function of the user's or a model
that judges stays on the driver's machine.
"""

from __future__ import annotations

import itertools
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cogitate.backend import Grader
from cogitate.cluster.deaths import Death, Watched, record_death
from cogitate.cluster.grading.worker import GraderFacts, GradingWorker, Submission
from cogitate.cluster.pool import GONE, check_silence, first_sentence
from cogitate.cluster.worker import facts_here
from cogitate.config import Config
from cogitate.errors import ClusterError, CogitateError, ConfigError
from cogitate.rewards.grade import problem_fields
from cogitate.rewards.kinds import kind_of
from cogitate.types import Ending, Problem, Verdict

SECONDS_OF_A_LOOK = 0.05  # at the driver's own graders, while nodes work


@dataclass(slots=True, eq=False)
class Node:
    """A further node of the cluster, with its grading process.

    Attributes:
        facts: None while it starts.
        call: what its process is doing; None while that stands still.
        waiting, under_way: submissions that its process does not have yet, and those that it judges.
        deaths: of its process, without a verdict in between.
    """

    id: str
    address: str
    actor: Any = None
    facts: GraderFacts | None = None
    watched: Watched | None = None
    call: Any = None
    since: float = 0.0
    named: bool = False
    silent: str = ""
    deaths: int = 0
    waiting: deque[Submission] = field(default_factory=deque)
    under_way: dict[int, Submission] = field(default_factory=dict)

    @property
    def started(self) -> bool:
        return self.facts is not None

    def __str__(self) -> str:
        where = f"process {self.facts.process.pid} on {self.facts.process.host}" if self.facts else f"on {self.address}"
        return f"grader ({where})"


class ClusterGrader:
    """Implements backend.Grader.

    Args:
        local: the driver's own graders, which the caller closes.
        nodes: the further nodes of the cluster, (id, address) of each.
        logs, directory, say, check_alive: as of GeneratorPool.
    """

    def __init__(
        self,
        config: Config,
        local: Grader,
        nodes: Sequence[tuple[str, str]],
        *,
        logs: Path,
        directory: Path,
        say: Callable[[str], None],
        check_alive: Callable[[], None],
    ):
        self._config, self._settings, self._local = config, config.cluster, local
        self._logs, self._directory, self._say, self._check_alive = logs, directory, say, check_alive
        self._actor_class, self._versions = ray.remote(GradingWorker), facts_here().versions
        self._numbers = itertools.count()
        self._nodes = [Node(*each) for each in nodes]
        for node in self._nodes:
            self._start(node)

    def submit(self, request_id: str, problem: Problem, completion: str, contract: str, ending: Ending | None = None) -> None:
        kind = kind_of(problem.kind)
        number = next(self._numbers)
        if kind.needs_function or kind.needs_judge:
            self._local.submit(request_id, problem, completion, contract, ending)
            return
        runs_code = kind.runs_code(problem_fields(problem))
        nodes = [node for node in self._nodes if node.facts and not (runs_code and node.facts.refuses_code)]
        shares: list[Node | None] = [None] * self._config.rewards.workers
        shares += [node for node in nodes for _ in range(self._settings.graders)]
        # Programs of one problem meet in one place, which judges equal ones once.
        node = shares[(zlib.crc32(problem.id.encode()) if runs_code else number) % len(shares)]
        if node is None:
            self._local.submit(request_id, problem, completion, contract, ending)
        else:
            node.waiting.append(Submission(number, request_id, problem, completion, contract, ending))
            self._hand_out(node)

    def poll(self, timeout: float = 0.0) -> list[tuple[str, Verdict]]:
        until = time.monotonic() + timeout
        while True:
            busy = any(node.waiting or node.under_way for node in self._nodes)
            left = max(0.0, until - time.monotonic())
            found = self._local.poll(min(left, SECONDS_OF_A_LOOK) if busy else left)
            found += self._collect(0.0 if found else min(left, SECONDS_OF_A_LOOK))
            if found or time.monotonic() >= until:
                return found

    def pending(self) -> int:
        return self._local.pending() + sum(len(node.waiting) + len(node.under_way) for node in self._nodes)

    def close(self) -> None:
        """End the nodes' processes; their graders end with them."""
        for node in self._nodes:
            ray.kill(node.actor)
            if node.watched:
                node.watched.close()
        self._nodes = []

    def _start(self, node: Node) -> None:
        options: dict[str, Any] = {
            "num_cpus": 0,  # as on one machine, graders work beside whatever else is there
            "max_restarts": 0,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id=node.id, soft=False),
        }
        runtime = self._config.runtime.model_copy(update={"backend": "local"})
        config = self._config.model_copy(update={"runtime": runtime, "cluster": type(self._settings)()})
        self._check_alive()
        node.actor = self._actor_class.options(**options).remote(config, self._settings.graders)
        node.facts = node.watched = None
        node.silent = ""
        self._call(node, node.actor.facts.remote())

    def _call(self, node: Node, call: Any) -> None:
        node.call, node.since, node.named = call, time.monotonic(), False

    def _hand_out(self, node: Node) -> None:
        """Let a process that stands still go on."""
        if node.call is not None or not (node.waiting or node.under_way):
            return
        fresh = list(node.waiting)
        node.waiting.clear()
        node.under_way |= {each.number: each for each in fresh}
        self._check_alive()
        self._call(node, node.actor.take_turn.remote(fresh))

    def _collect(self, seconds: float) -> list[tuple[str, Verdict]]:
        """The verdicts of turns that have ended; waits so long for the first of them."""
        busy = {node.call: node for node in self._nodes if node.call is not None}
        if not busy:
            return []
        self._check_alive()
        ready, waited_for = ray.wait(list(busy), num_returns=len(busy), timeout=0)
        if not ready and seconds:
            ready, waited_for = ray.wait(list(busy), num_returns=1, timeout=seconds)
        found: list[tuple[str, Verdict]] = []
        for call in ready:
            node = busy[call]
            result = self._result(node)
            if isinstance(result, GraderFacts):
                self._started(node, result)
            for number, verdict in result if isinstance(result, list) else ():
                node.deaths = 0
                found.append((node.under_way.pop(number).request_id, verdict))
            if node.call is None and node in self._nodes:
                self._hand_out(node)
        for call in waited_for:
            check_silence(busy[call], self._settings, say=self._say, check_alive=self._check_alive)
        return found

    def _started(self, node: Node, facts: GraderFacts) -> None:
        node.facts = facts
        if facts.process.machine == facts_here().machine:
            node.watched = Watched(facts.process.pid)
        for (name, theirs), (_, ours) in zip(facts.process.versions, self._versions, strict=True):
            if theirs != ours:
                raise ConfigError(f"{node}: has {name} {theirs}, and this process has {ours}: install the same on all nodes")
        if facts.refuses_code:
            self._say(f"{node}: {facts.refuses_code}, so it is given no programs; `cogitate doctor` there says what to install")

    def _result(self, node: Node) -> Any:
        call, node.call = node.call, None
        try:
            return ray.get(call)
        except GONE as error:
            self._lost(node, str(error))
            return None
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CogitateError):
                raise error.cause from None
            raise ClusterError(f"{node} has failed: {type(error.cause).__name__}: {error.cause}") from error
        except ray.exceptions.RayError as error:
            raise ClusterError(f"{node}: Ray has failed: {first_sentence(str(error))}") from error

    def _lost(self, node: Node, words: str) -> None:
        """Report a death; start another process on the node where that lives, and have others judge what it had."""
        self._check_alive()
        ray.kill(node.actor)
        found = node.watched.death(self._logs) if node.watched else Death("", None, ())
        again = [*node.under_way.values(), *node.waiting]
        node.under_way.clear()
        node.waiting.clear()
        cause = node.silent or found.ending or first_sentence(words)
        place = (node.facts.process.pid, node.facts.process.host) if node.facts else (None, None)
        node.deaths += 1
        lives = any(each["NodeID"] == node.id and each["Alive"] for each in ray.nodes())
        then = "another one is started"
        if not lives or node.deaths > self._settings.deaths_limit:
            then = "its node is given up" if lives else "its node is lost"
        self._say(f"{node} has died: {cause}; {then}, and {len(again)} completions that it was judging are judged again")
        who = {"grader": node.address, **dict(zip(("pid", "host"), place, strict=True))}
        record_death(self._directory, who, cause, found, {"judged_again": len(again)})
        if then.startswith("its node"):
            self._nodes.remove(node)
        else:
            self._start(node)
        for each in again:
            self.submit(each.request_id, each.problem, each.completion, each.contract, each.ending)
