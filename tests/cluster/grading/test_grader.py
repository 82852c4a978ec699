"""Where completions are judged, as Ray tells of nodes, without a Ray."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cogitate.cluster.worker import facts_here
from cogitate.config import ClusterConfig, Config, RewardsConfig, RuntimeConfig
from cogitate.types import Problem, Verdict

pytestmark = pytest.mark.cluster
ABLE, UNABLE = "a" * 56, "b" * 56  # nodes
RIGHT = Verdict("right", 1.0, "")
CODE = {"mode": "stdin", "tests": []}


class Local:
    """The driver's graders: they judge nothing until the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def submit(self, request_id: str, *arguments: Any) -> None:
        self.asked.append(request_id)

    def poll(self, timeout: float = 0.0) -> list[tuple[str, Verdict]]:
        return []

    def pending(self) -> int:
        return len(self.asked)

    def close(self) -> None:
        pass


class Nodes:
    """Ray with two nodes, of which one isolates; a call is what it will return."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        import ray

        self.alive, self.fails = {ABLE, UNABLE}, set[str]()
        monkeypatch.setattr(ray, "remote", lambda kind: self)
        monkeypatch.setattr(ray, "kill", lambda actor: None)
        monkeypatch.setattr(ray, "nodes", lambda: [{"NodeID": name, "Alive": name in self.alive} for name in (ABLE, UNABLE)])
        monkeypatch.setattr(ray, "wait", lambda calls, **options: (calls, []))
        monkeypatch.setattr(ray, "get", self.get)

    def options(self, scheduling_strategy: Any, **options: Any) -> Any:
        return Starting(scheduling_strategy.node_id)

    def get(self, call: Any) -> Any:
        import ray

        name, result = call.content
        if name in self.fails:
            raise ray.exceptions.NodeDiedError("the node is gone")
        return result


class Starting:
    def __init__(self, name: str):
        self.name = name

    def remote(self, *arguments: Any) -> Actor:
        return Actor(self.name)


class Call:
    def __init__(self, *content: Any):
        self.content = content


class Method:
    def __init__(self, answer: Any):
        self.remote = answer


class Actor:
    def __init__(self, name: str):
        from cogitate.cluster.grading.worker import GraderFacts

        here = replace(facts_here(), machine="another", host=name)
        facts = GraderFacts(here, "" if name == ABLE else "model-written code cannot be isolated there")
        self.facts = Method(lambda: Call(name, facts))
        self.take_turn = Method(lambda fresh: Call(name, [(each.number, replace(RIGHT, reason=name)) for each in fresh]))


def make(monkeypatch: pytest.MonkeyPatch, directory: Path) -> tuple[Any, Nodes, Local, list[str]]:
    from cogitate.cluster.grading.grader import ClusterGrader

    nodes, local, said = Nodes(monkeypatch), Local(), list[str]()
    cluster = ClusterConfig(address="10.0.0.1:6379", graders=3)
    config = Config(runtime=RuntimeConfig(backend="ray"), cluster=cluster, rewards=RewardsConfig(workers=1))
    grader = ClusterGrader(
        config, local, [(ABLE, "1"), (UNABLE, "2")], logs=directory, directory=directory, say=said.append,
        check_alive=lambda: None,
    )  # fmt: skip
    grader.poll()  # both have started
    return grader, nodes, local, said


def test_a_node_that_cannot_isolate_gets_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    grader, _, local, said = make(monkeypatch, tmp_path)
    assert any("cannot be isolated there, so it is given no programs" in line for line in said)
    for number in range(40):
        grader.submit(f"code {number}", Problem(str(number), "t", "code", "?", fields=CODE), "", "bare")
        grader.submit(f"math {number}", Problem(str(number), "t", "math", "?", gold="1"), "", "bare")
    judged: list[tuple[str, Verdict]] = []
    while grader.pending() > local.pending():
        judged += grader.poll()
    assert len(judged) + len(local.asked) == 80
    assert {verdict.reason for name, verdict in judged if name.startswith("code")} == {ABLE}
    assert {verdict.reason for name, verdict in judged if name.startswith("math")} == {ABLE, UNABLE}
    assert {name[:4] for name in local.asked} == {"code", "math"}


def test_what_a_function_of_the_user_judges_stays_on_the_drivers_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    grader, _, local, _ = make(monkeypatch, tmp_path)
    for number in range(9):
        grader.submit(str(number), Problem(str(number), "t", "custom", "?"), "", "bare")
    assert len(local.asked) == 9


def test_what_a_lost_node_was_judging_is_judged_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    grader, nodes, local, said = make(monkeypatch, tmp_path)
    for number in range(14):
        grader.submit(str(number), Problem(str(number), "t", "math", "?", gold="1"), "", "bare")
    nodes.fails, nodes.alive = {ABLE}, {UNABLE}
    judged: list[tuple[str, Verdict]] = []
    while grader.pending() > local.pending():
        judged += grader.poll()
    assert sorted([name for name, _ in judged] + local.asked, key=int) == [str(number) for number in range(14)]
    (row,) = [json.loads(line) for line in (tmp_path / "deaths.jsonl").read_text().splitlines()]
    assert (row["grader"], row["cause"], row["judged_again"]) == ("1", "the node is gone", 6)
    assert any("its node is lost, and 6 completions that it was judging are judged again" in line for line in said)
