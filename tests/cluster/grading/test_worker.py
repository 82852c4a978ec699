"""What a node's grading process does, in this process: without Ray."""

from collections.abc import Iterator

import pytest

from cogitate.cluster.grading import worker as module
from cogitate.cluster.grading.worker import GradingWorker, Submission
from cogitate.config import Config
from cogitate.errors import SandboxUnavailableError
from cogitate.types import Problem, Verdict

PROBLEM = Problem("p", "t", "exact", "?", gold="4")


@pytest.fixture(scope="module")
def worker() -> Iterator[GradingWorker]:
    found = GradingWorker(Config(), 1)
    yield found
    found.close()


def test_turns_judge_as_the_pool_does(worker: GradingWorker) -> None:
    texts = {7: r"\boxed{4}", 8: r"\boxed{5}"}
    fresh = [Submission(number, "same name", PROBLEM, text, "bare", None) for number, text in texts.items()]
    verdicts: dict[int, Verdict] = {}
    while len(verdicts) < 2:
        verdicts |= dict(worker.take_turn(fresh))
        fresh = []
    assert {number: verdict.value for number, verdict in verdicts.items()} == {7: "right", 8: "wrong"}


def test_a_node_that_cannot_isolate_says_so(worker: GradingWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(isolation: object) -> None:
        raise SandboxUnavailableError("none")

    assert worker.facts().refuses_code == ""
    monkeypatch.setattr(module, "open_local_sandbox", none)
    assert worker.facts().refuses_code == "model-written code cannot be isolated there"
