"""Grading by an actor of a real Ray: verdicts, and a process that is killed."""

import json
from pathlib import Path

import psutil
import pytest

from cogitate.config import ClusterConfig, Config, RewardsConfig, RuntimeConfig
from cogitate.rewards.workers.pool import GraderPool
from cogitate.types import Problem
from tests.cluster.clustered import SECONDS, called, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * SECONDS)]
PROBLEM = Problem("p", "t", "exact", "?", gold="4")


def test_a_node_grades_and_what_it_had_when_it_was_killed_is_graded_again(tmp_path: Path) -> None:
    import ray

    from cogitate.cluster.grading.grader import ClusterGrader
    from cogitate.cluster.session import Session

    config = Config(
        runtime=RuntimeConfig(backend="ray"),
        cluster=ClusterConfig(address="127.0.0.1:1", graders=1, start_limit=SECONDS),
        rewards=RewardsConfig(workers=1),
    )
    session, said = Session(ClusterConfig(start_limit=SECONDS), tmp_path, print), list[str]()
    try:
        here = ray.get_runtime_context().get_node_id()
        with GraderPool(workers=1) as local:
            grader = ClusterGrader(
                config, local, [(here, "here")], logs=session.logs, directory=tmp_path, say=said.append,
                check_alive=session.check_alive,
            )  # fmt: skip
            (node,) = grader._nodes
            until(lambda: (grader.poll(0.5), node.started)[1], "the start of the node's process")
            for number in range(6):
                grader.submit(f"{number}", PROBLEM, rf"\boxed{{{4 + number % 3}}}", "bare")
            assert len(node.under_way) + len(node.waiting) == 3
            called(psutil.Process().children(recursive=True), "GradingWork")[0].kill()
            values: dict[str, str] = {}
            while grader.pending():
                values |= {name: verdict.value for name, verdict in grader.poll(1.0)}
            assert values == {str(number): "wrong" if number % 3 else "right" for number in range(6)}
            until(lambda: (grader.poll(0.5), node.started and said)[1], "another process")
            grader.submit("a", PROBLEM, r"\boxed{4}", "bare")
            grader.submit("b", PROBLEM, r"\boxed{5}", "bare")
            assert node.under_way
            values = {}
            while grader.pending():
                values |= {name: verdict.value for name, verdict in grader.poll(1.0)}
            assert values == {"a": "right", "b": "wrong"}
            grader.close()
    finally:
        session.close()
    (row,) = [json.loads(line) for line in (tmp_path / "deaths.jsonl").read_text().splitlines()]
    assert row["cause"] == "killed by SIGKILL" or "worker process has died" in row["cause"]  # where the kernel tells no more
    assert any(f"has died: {row['cause']}; another one is started, and " in line for line in said)
