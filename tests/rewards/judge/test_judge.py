"""Opinions of a judge that is a real HTTP server of this process."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cogitate.config import JudgeConfig
from cogitate.endpoint import Endpoint
from cogitate.rewards.judge.judge import CONTRADICTION, ONE_ORDER, Answer, Judge, Pair
from tests.chat_server import Server, says
from tests.rewards.judge.judging_server import judging

PAIR = Pair("Say hello.", "Hello!", "Go away, and never come back to this place.")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def judge_of(server: Server, **settings: Any) -> Judge:
    config = JudgeConfig(base_url=server.url, model="big", attempts=1, **settings)
    return Judge(config, Endpoint(config, "judge", first_wait=0.01), seed=3)


def shorter(shown: dict[str, str]) -> str:
    return "A" if len(shown["answer A"]) < len(shown["answer B"]) else "B"


def test_a_pair_is_compared_in_both_orders(server: Server) -> None:
    server.replies = [(200, judging(shorter))]
    judge = judge_of(server)
    found = judge.compare([PAIR, Pair(PAIR.question, PAIR.second, PAIR.first)])
    assert [one.winner for one in found] == ["first", "second"]
    assert found[0].reason == "4 of 4 judgements"
    assert judge.counts == {"pair: A": 4, "pair: B": 4}
    assert len({body["seed"] for _, body in server.requests}) == len(server.requests) == 8


def test_a_judge_that_prefers_a_position_has_no_opinion(server: Server) -> None:
    server.replies = [(200, judging(lambda shown: "A"))]
    judge = judge_of(server)
    assert [(one.winner, one.reason) for one in judge.compare([PAIR])] == [(None, CONTRADICTION)]
    assert judge.counts == {"pair: A": 4, f"no opinion: {CONTRADICTION}": 1}


def test_both_orders_are_needed(server: Server) -> None:
    server.replies = [(200, judging(lambda shown: "A" if shown["answer A"] == "Hello!" else "I refuse"))]
    assert [one.reason for one in judge_of(server).compare([PAIR])] == [ONE_ORDER]


def test_an_answer_is_judged_by_a_reference(server: Server) -> None:
    server.replies = [(200, judging(lambda shown: "Yes" if shown["reference answer"] in shown["answer"] else "No"))]
    answers = [Answer("2 + 2?", "It is 4", reference="4"), Answer("2 + 2?", "It is 5", reference="4")]
    assert [(one.value, one.score) for one in judge_of(server).grade(answers)] == [("right", 1.0), ("wrong", 0.0)]


def test_an_answer_is_judged_by_its_rubric(server: Server) -> None:
    server.replies = [(200, judging(lambda shown: "Yes"))]
    judge_of(server, temperature=0, judgements=2).grade([Answer("Hi", "Hello", rubric="Good is what rhymes.")])
    assert len(server.requests) == 1  # equal questions at temperature 0 have equal answers
    assert "Good is what rhymes." in server.requests[0][1]["messages"][0]["content"]


def test_silence_nonsense_and_contradictions_are_no_verdict_and_counted(server: Server) -> None:
    server.replies = [(500, "down")]
    judge = judge_of(server)
    assert judge.grade([Answer("2 + 2?", "4")])[0].value == "none"
    assert judge.counts["no verdict: no answer"] == 4
    server.replies = [says("I would rather not judge.")]
    assert judge.grade([Answer("2 + 2?", "4")])[0].value == "none"
    assert judge.counts["no verdict: no verdict in the last line"] == 4
    said = iter(["Yes", "No"] * 2)
    server.replies = [(200, judging(lambda shown: next(said)))]
    assert judge.grade([Answer("2 + 2?", "4")])[0].reason == CONTRADICTION
    assert judge.counts["no opinion: the judge gave no verdict"] == 2


def test_what_a_judge_costs_is_counted_apart_from_others_who_ask_the_same_model(server: Server) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    message = {"content": "I cannot say."}
    server.replies = [(200, json.dumps({"choices": [{"message": message}], "usage": usage}))]
    config = JudgeConfig(base_url=server.url, model="big", attempts=1, input_price=1.0, output_price=10.0)
    model = Endpoint(config, "judge", first_wait=0.01)
    first, second = Judge(config, model, seed=1), Judge(config, model, seed=2)
    first.grade([Answer("2 + 2?", "4")])
    before = replace(model.usage)
    second.compare([PAIR, PAIR])  # equal pairs are asked once
    assert first.usage.spent(config) == second.usage.spent(config) == model.usage.since(before).spent(config)
    assert first.usage.spent(config) == {
        "replies": 4, "failures": 0, "input_tokens": 400, "output_tokens": 40, "cost": 0.0008,
    }  # fmt: skip
    server.replies = [(500, "down")]
    first.grade([Answer("2 + 3?", "4")])
    assert (first.usage.failures, second.usage.failures) == (4, 0)


def test_judgements_of_one_answer_show_the_same_and_differ_in_their_seeds(server: Server) -> None:
    """So that whoever answers has to read it once."""
    server.replies = [(200, judging(lambda shown: "Yes"))]
    judge_of(server).grade([Answer("2 + 2?", "4")])
    assert len({body["messages"][0]["content"] for _, body in server.requests}) == 1
    assert len({body["seed"] for _, body in server.requests}) == 4


def test_judgements_are_kept_so_that_a_second_run_asks_nothing(server: Server, tmp_path: Path) -> None:
    server.replies = [(200, judging(shorter))]
    found = []
    for _ in range(2):
        judge = judge_of(server, cache=str(tmp_path))
        found.append((judge.compare([PAIR]), judge.counts))
        judge.asker.close()
    assert found[0] == found[1]
    assert len(server.requests) == 4
