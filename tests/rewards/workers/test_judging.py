"""Problems that a model judges, in the grader pool: the judge is a real HTTP server of this process."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogitate.config import JudgeConfig
from cogitate.endpoint import Endpoint
from cogitate.rewards.judge.judge import Judge
from cogitate.rewards.workers.pool import GraderPool
from cogitate.types import Ending, Problem, Verdict
from tests.chat_server import Server
from tests.rewards.judge.judging_server import judging

SAY = Problem("1", "open", "judge", "Why is the sky blue?", gold="scattering", fields={"rubric": "It names the effect."})
SUM = Problem("2", "sums", "math", "2 + 2?", gold="4")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.replies = [(200, judging(lambda shown: "Yes" if "scattering" in shown["answer"] else "No"))]
    yield server
    server.close()


def judge_of(server: Server) -> Judge:
    settings = JudgeConfig(base_url=server.url, model="big", attempts=1)
    return Judge(settings, Endpoint(settings, "judge", first_wait=0.01))


def drain(pool: GraderPool) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    while pool.pending():
        found |= dict(pool.poll(1.0))
    return found


def test_the_judge_sees_the_answer_alone_and_rules_judge_what_they_can(server: Server) -> None:
    with GraderPool(1, judge=judge_of(server)) as pool:
        pool.submit("good", SAY, "<think> hm </think>\nIt is Rayleigh scattering.", "r1")
        pool.submit("bad", SAY, "<think> scattering? </think>\nThe sea.", "r1")
        pool.submit("sum", SUM, "<think> hm </think>\n\\boxed{4}", "r1")
        found = drain(pool)
    assert {name: verdict.value for name, verdict in found.items()} == {"good": "right", "bad": "wrong", "sum": "right"}
    assert len(server.requests) == 8  # two answers, four judgements each
    prompt = server.requests[0][1]["messages"][0]["content"]
    assert "It names the effect." in prompt
    assert "hm" not in prompt


def test_parts_of_the_reward_follow_the_verdict_of_a_judge(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "part.py"
    part.write_text("def tokens(completion):\n    return float(completion.tokens)\n")
    with GraderPool(1, parts={"tokens": f"{part}:tokens"}, judge=judge_of(server)) as pool:
        pool.submit("good", SAY, "scattering", "bare", Ending(7, "stop"))
        found = drain(pool)
    assert found["good"].parts == {"tokens": 7.0}


def test_without_a_judge_there_is_no_verdict() -> None:
    with GraderPool(1) as pool:
        pool.submit("x", SAY, "scattering", "bare")
        verdict = drain(pool)["x"]
    assert verdict.value == "none"
    assert "judge.model" in verdict.reason


def test_closing_does_not_wait_for_a_slow_judge(server: Server) -> None:
    server.delay = 1.0
    pool = GraderPool(1, judge=judge_of(server))
    for number in range(40):
        pool.submit(str(number), SAY, f"answer {number}", "bare")
    while not server.requests:
        time.sleep(0.01)
    pool.close()
    assert len(server.requests) < 40  # of 160
