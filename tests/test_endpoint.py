"""The client of OpenAI-compatible servers, tested against a real HTTP server of this process."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cogitate.config import EndpointConfig
from cogitate.endpoint import Endpoint, Question, Usage, check_endpoint
from cogitate.errors import ArtifactError, ConfigError, EndpointError, Interrupted
from cogitate.replies import Reply, wanted_wait
from cogitate.types import Message, SamplingParams
from tests.chat_server import Body, Server, says
from tests.chat_server import Reply as ServerReply

PARAMS = SamplingParams(0.8, 0.95, 64)
ASKED = (Message("user", "What is 4 + 5?"),)
ASK = Question(ASKED, PARAMS, 0)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def endpoint(server: Server, **settings: Any) -> Endpoint:
    return Endpoint(EndpointConfig(base_url=server.url, model="big", **settings), first_wait=0.01)


def test_it_is_asked_as_an_openai_compatible_server_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "open sesame")
    answer = endpoint(server, api_key_variable="MY_KEY").ask(Question(ASKED, PARAMS, 2**40 + 3))
    assert answer == Reply("9", "stop")
    assert server.requests == [
        (
            "/v1/chat/completions",
            {"model": "big", "messages": [{"role": "user", "content": "What is 4 + 5?"}], "temperature": 0.8, "top_p": 0.95,
             "max_tokens": 64, "seed": 3},
        )
    ]  # fmt: skip
    assert server.headers == ["Bearer open sesame"]


def test_a_cut_answer_is_known_as_such(server: Server) -> None:
    cut = {"choices": [{"message": {"content": "4 +"}, "finish_reason": "length"}]}
    server.replies = [(200, json.dumps(cut))]
    assert endpoint(server).ask(ASK) == Reply("4 +", "length")


def test_an_answer_cut_while_it_thought_is_a_cut_one_and_not_asked_for_again(server: Server) -> None:
    cut = {"choices": [{"message": {"content": None, "reasoning_content": "4 and"}, "finish_reason": "length"}]}
    server.replies = [(200, json.dumps(cut))]
    assert endpoint(server).ask(ASK) == Reply("", "length", "4 and")
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.replies = [(429, "slow down"), (503, "later"), says("9")]
    assert endpoint(server).ask(ASK).text == "9"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("reply", "message", "attempts"),
    [
        ((500, "out of\nmemory"), "after 4 attempts: answered 500 Internal Server Error: out of memory", 4),
        ((401, "bad key"), "completions: answered 401 Unauthorized: bad key", 1),
        ((404, "no such model"), "completions: answered 404 Not Found: no such model", 1),
        ((200, "<html>"), "after 4 attempts: answered something that is not JSON", 4),
        ((200, "[]"), "answered no choices.0..message.content", 4),
        ((200, '{"choices": []}'), "answered no choices", 4),
        ((200, '{"choices": [{"message": {"content": null}}]}'), "answered a content that is no text: null", 4),
        ((200, "[" * 100_000), "answered something that is not JSON", 4),
        ((200, '{"choices": [{"message": {"content": null, "refusal": "No."}}]}'), 'refuses to answer: "No."', 1),
        ((200, '{"choices": [{"message": {"content": null}, "finish_reason": "content_filter"}]}'), "refuses to answer", 1),
    ],
)
def test_what_the_server_does_wrong_is_one_line(server: Server, reply: ServerReply, message: str, attempts: int) -> None:
    server.replies = [reply]
    with pytest.raises(EndpointError, match=message) as error:
        endpoint(server).ask(ASK)
    assert server.url in str(error.value)
    assert "\n" not in str(error.value)
    assert len(server.requests) == attempts


def test_a_silent_server_is_left_after_the_limit(server: Server) -> None:
    server.delay = 0.4
    with pytest.raises(EndpointError, match=r"no answer within 0.1 seconds \(teacher.seconds_limit\)"):
        endpoint(server, seconds_limit=0.1).ask(ASK)


def test_blanks_that_keep_the_line_alive_are_no_answer(server: Server) -> None:
    server.blanks = 4
    assert endpoint(server).ask(ASK).text == "9"
    server.blanks = 3000
    began = time.monotonic()
    with pytest.raises(EndpointError, match=r"no answer within 0.5 seconds \(teacher.seconds_limit\)"):
        endpoint(server, seconds_limit=0.5, attempts=1).ask(ASK)
    assert time.monotonic() - began < 30  # the blanks take a minute


def test_a_busy_server_is_asked_again_when_it_says(server: Server) -> None:
    server.retry_after = "1"
    server.replies = [(429, "slow down"), says("9")]
    began = time.monotonic()
    assert endpoint(server).ask(ASK).text == "9"
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-5", "inf", "\u0663", "", None])
def test_a_time_to_wait_that_is_no_number_of_seconds_is_none(header: str | None) -> None:
    assert wanted_wait(header, 60.0) == 0.0
    assert wanted_wait("7", 60.0) == 7.0
    assert wanted_wait("9" * 400, 60.0) == 60.0


def test_no_attempt_begins_after_an_interruption(server: Server) -> None:
    def stop() -> None:
        if server.requests:
            raise Interrupted("stopped", 130)

    server.replies = [(503, "later")]
    asked = Endpoint(EndpointConfig(base_url=server.url, model="big", attempts=4, parallel=2), first_wait=60.0)
    began = time.monotonic()
    with pytest.raises(Interrupted):
        asked.ask_all([Question(ASKED, PARAMS, seed) for seed in range(8)], stop)
    assert time.monotonic() - began < 30  # it would wait a minute before the second attempt
    assert len(server.requests) <= 4


def test_a_server_that_is_not_there_is_said(server: Server) -> None:
    server.close()
    with pytest.raises(EndpointError, match=r"after 4 attempts: cannot be reached: .*refused"):
        endpoint(server).ask(ASK)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "localhost:8000"}, "must begin with http"),
        ({"base_url": "http://localhost:8000/v1"}, "teacher.model: give the endpoint's name"),
        ({"model": "big"}, "without teacher.base_url"),
    ],
)
def test_half_an_endpoint_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_endpoint(EndpointConfig(**settings), "teacher")
    check_endpoint(EndpointConfig(), "teacher")


def test_settings_of_a_server_that_is_not_asked_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"teacher.per_minute: changes nothing without teacher.base_url"):
        check_endpoint(EndpointConfig(per_minute=10), "teacher")


def test_it_is_asked_as_often_as_the_settings_say(server: Server) -> None:
    server.replies = [(500, "no")]
    with pytest.raises(EndpointError, match="after 2 attempts"):
        endpoint(server, attempts=2).ask(ASK)
    assert len(server.requests) == 2


def test_requests_keep_their_distance(server: Server) -> None:
    began = time.monotonic()
    endpoint(server, per_minute=600).ask_all([Question(ASKED, PARAMS, seed) for seed in range(4)])
    assert time.monotonic() - began >= 0.3  # three distances of a tenth of a second


def test_an_answer_is_kept_by_the_content_of_its_question(server: Server, tmp_path: Path) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 2}
    server.replies = [(200, json.dumps({"choices": [{"message": {"content": "9"}}], "usage": usage}))]
    with endpoint(server, cache=str(tmp_path)) as first:
        assert first.ask(ASK) == first.ask(ASK) == Reply("9", "stop", "", 11, 2)
        assert first.usage == Usage(replies=2, from_cache=1, requests=1, input_tokens=22, output_tokens=4)
        assert first.usage.cost(EndpointConfig(input_price=1e6, output_price=2e6)) == 22 + 8
        for other in (
            Question(ASKED, PARAMS, 1),
            Question(ASKED, SamplingParams(0.7, 0.95, 64), 0),
            Question((*ASKED, Message("assistant", "8")), PARAMS, 0),
        ):
            first.ask(other)
    assert len(server.requests) == 4
    server.replies = [says("10")]
    with endpoint(server, cache=str(tmp_path)) as later:
        assert later.ask(ASK).text == "9"
    assert len(server.requests) == 4


def test_equal_questions_of_one_call_are_asked_once(server: Server, tmp_path: Path) -> None:
    server.replies = [says(str(number)) for number in range(9)]
    questions = [ASK, Question(ASKED, PARAMS, 1), ASK, ASK]
    with endpoint(server, cache=str(tmp_path), parallel=4) as first:
        replies = first.ask_all(questions)
    assert replies[0] == replies[2] == replies[3] != replies[1]
    assert (len(server.requests), first.usage.replies) == (2, 2)
    with endpoint(server, cache=str(tmp_path)) as later:
        assert later.ask_each(questions) == replies


def test_a_kill_in_the_middle_of_a_line_costs_one_question(server: Server, tmp_path: Path) -> None:
    with endpoint(server, cache=str(tmp_path)) as first:
        first.ask(ASK)
        first.ask(Question(ASKED, PARAMS, 1))
    file = tmp_path / "answers.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    with endpoint(server, cache=str(tmp_path)) as later:
        later.ask_all([ASK, Question(ASKED, PARAMS, 1)])
        assert later.usage.from_cache == 1
    assert len(server.requests) == 3
    assert [set(json.loads(line)) for line in file.read_text().splitlines()] == [{"key", "answer"}] * 2


def test_a_cache_belongs_to_one_process_at_a_time(server: Server, tmp_path: Path) -> None:
    with endpoint(server, cache=str(tmp_path)), pytest.raises(ArtifactError, match="another process is using it"):
        endpoint(server, cache=str(tmp_path))


@pytest.mark.parametrize(
    "kept", [{}, {"text": 5, "finish_reason": "stop"}, {"text": "9", "finish_reason": "stop", "mood": "good"}]
)
def test_an_answer_of_a_cache_that_is_none_is_said(server: Server, tmp_path: Path, kept: dict[str, Any]) -> None:
    with endpoint(server, cache=str(tmp_path)) as first:
        first.ask(ASK)
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps({**json.loads(file.read_text()), "answer": kept}) + "\n")
    with endpoint(server, cache=str(tmp_path)) as later, pytest.raises(ArtifactError, match="delete it to have it asked again"):
        later.ask(ASK)


def test_each_question_has_its_answer_or_its_error(server: Server) -> None:
    def reply(body: Body) -> str:
        return says(f"seed {body['seed']}")[1] if body["seed"] != 2 else "<html>"

    server.replies = [(200, reply)]
    found = endpoint(server, attempts=1).ask_each([Question(ASKED, PARAMS, seed) for seed in range(4)])
    assert [one.text if isinstance(one, Reply) else "failed" for one in found] == ["seed 0", "seed 1", "failed", "seed 3"]
