"""A teacher behind a URL, tested against a real HTTP server of this process."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cogitate.config import TeacherConfig
from cogitate.errors import ConfigError, EndpointError, Interrupted
from cogitate.recipe.data.candidates import Writer
from cogitate.recipe.data.collect import direct_with_verification, few_shot_with_a_long_example
from cogitate.recipe.data.teacher import Endpoint, check_teacher, contract_of
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Message, Problem, SamplingParams
from tests.recipe.scripted_backend import InlineGrader

PARAMS = SamplingParams(0.8, 0.95, 64)
ASKED = [Message("user", "What is 4 + 5?")]
SUM = Problem("1", "arithmetic", "math", "What is 4 + 5?", "9")


Body = dict[str, Any]  # of a request
Reply = tuple[int, str | Callable[[Body], str]]  # status, and what is said or how it is made
Make = Callable[[Mapping[str, Any], Endpoint], Writer]


def says(content: str, **message: str) -> tuple[int, str]:
    return 200, json.dumps({"choices": [{"message": {"content": content, **message}, "finish_reason": "stop"}]})


class Server:
    """Answers the n-th request by `replies[n]` (the last one for all further), and remembers what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [says("9")]
        self.requests: list[tuple[str, Body]] = []
        self.headers: list[str | None] = []
        self.delay = 0.0
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(outer.requests)
                    outer.requests.append((self.path, body))
                    outer.headers.append(self.headers.get("Authorization"))
                time.sleep(outer.delay)
                status, reply = outer.replies[min(number, len(outer.replies) - 1)]
                text = reply(body) if callable(reply) else reply
                try:
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(text.encode())
                except OSError:  # the client has given up
                    pass

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def close(self) -> None:
        if not self.thread.is_alive():
            return
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def endpoint(server: Server, **settings: Any) -> Endpoint:
    return Endpoint(TeacherConfig(base_url=server.url, model="big", **settings), first_wait=0.01)


def test_it_is_asked_as_an_openai_compatible_server_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "open sesame")
    answer = endpoint(server, api_key_variable="MY_KEY").ask(ASKED, PARAMS, 2**40 + 3)
    assert answer == ("9", "stop")
    assert server.requests == [
        (
            "/v1/chat/completions",
            {"model": "big", "messages": [{"role": "user", "content": "What is 4 + 5?"}], "temperature": 0.8, "top_p": 0.95,
             "max_tokens": 64, "seed": 3},
        )
    ]  # fmt: skip
    assert server.headers == ["Bearer open sesame"]


def test_thinking_that_is_handed_over_apart_stands_in_tags(server: Server) -> None:
    server.replies = [says("The answer is 9.", reasoning_content="4 + 5 = 9.")]
    assert endpoint(server).ask(ASKED, PARAMS, 0)[0] == "<think> 4 + 5 = 9. </think>\nThe answer is 9."
    assert contract_of("<think> 4 + 5 = 9. </think>\nThe answer is 9.") == "r1"
    assert contract_of("4 + 5 = 9. The answer is 9.") == "free"


def test_a_cut_answer_is_known_as_such(server: Server) -> None:
    cut = {"choices": [{"message": {"content": "4 +"}, "finish_reason": "length"}]}
    server.replies = [(200, json.dumps(cut))]
    assert endpoint(server).ask(ASKED, PARAMS, 0) == ("4 +", "length")


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.replies = [(429, "slow down"), (503, "later"), says("9")]
    assert endpoint(server).ask(ASKED, PARAMS, 0)[0] == "9"
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
    ],
)
def test_what_the_server_does_wrong_is_one_line(server: Server, reply: Reply, message: str, attempts: int) -> None:
    server.replies = [reply]
    with pytest.raises(EndpointError, match=message) as error:
        endpoint(server).ask(ASKED, PARAMS, 0)
    assert server.url in str(error.value)
    assert "\n" not in str(error.value)
    assert len(server.requests) == attempts


def test_a_silent_server_is_left_after_the_limit(server: Server) -> None:
    server.delay = 0.4
    with pytest.raises(EndpointError, match=r"no answer within 0.1 seconds \(teacher.seconds_limit\)"):
        endpoint(server, seconds_limit=0.1).ask(ASKED, PARAMS, 0)


def test_a_server_that_is_not_there_is_said(server: Server) -> None:
    server.close()
    with pytest.raises(EndpointError, match=r"after 4 attempts: cannot be reached: .*refused"):
        endpoint(server).ask(ASKED, PARAMS, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "localhost:8000"}, "must begin with http"),
        ({"base_url": "http://localhost:8000/v1"}, "teacher.model: give the endpoint's name"),
        ({"model": "big"}, "without teacher.base_url"),
    ],
)
def test_half_a_teacher_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_teacher(TeacherConfig(**settings))
    check_teacher(TeacherConfig())


def echo_sum(body: Body) -> str:
    """The answer to the last question of a conversation, different for each seed."""
    numbers = [int(word) for word in body["messages"][-1]["content"].split("?")[0].split() if word.isdigit()]
    found = sum(numbers) + (body["seed"] % 2)  # right for even seeds
    return says(f"{numbers[0]} + {numbers[1]} = {found}. The answer is {found}.")[1]


def writer_of(server: Server, make: Make, micro_tokenizer: Tokenizer, meanwhile: Callable[[], None] = lambda: None) -> Writer:
    parts = {"params": PARAMS, "tokenizer": micro_tokenizer, "grader": InlineGrader(), "meanwhile": meanwhile}
    return make(parts, endpoint(server))


def test_its_answers_are_graded_and_come_back_in_the_order_of_the_questions(server: Server, micro_tokenizer: Tokenizer) -> None:
    server.replies = [(200, echo_sum)]
    problems = [Problem(str(n), "arithmetic", "math", f"What is {n} + 5?", str(n + 5)) for n in range(6)]
    asked = [(problem, (2, 3)) for problem in problems]
    candidates = writer_of(server, direct_with_verification, micro_tokenizer).write(asked)
    assert [candidate.problem.id for candidate in candidates] == [str(n) for n in range(6) for _ in range(2)]
    assert [candidate.verdict for candidate in candidates] == ["right", "wrong"] * 6
    assert {(c.model, c.prompt, c.source) for c in candidates} == {("big", "direct_checked", "direct")}
    assert "verify your result" in server.requests[0][1]["messages"][0]["content"]


def test_the_few_shot_teacher_is_shown_a_long_worked_example(server: Server, micro_tokenizer: Tokenizer) -> None:
    server.replies = [(200, echo_sum)]
    writer_of(server, few_shot_with_a_long_example, micro_tokenizer).write([(SUM, (2,))])
    messages = server.requests[0][1]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert "Let me check" in messages[1]["content"]
    assert messages[2]["content"].startswith("What is 4 + 5?")


def test_a_failing_teacher_ends_the_collector(server: Server, micro_tokenizer: Tokenizer) -> None:
    server.replies = [(403, "no")]
    with pytest.raises(EndpointError, match="answered 403 Forbidden: no"):
        writer_of(server, direct_with_verification, micro_tokenizer).write([(SUM, tuple(range(20)))])
    assert len(server.requests) < 20


def test_an_interruption_ends_the_waiting(server: Server, micro_tokenizer: Tokenizer) -> None:
    server.delay = 0.05

    def stop() -> None:
        raise Interrupted("stopped", 130)

    with pytest.raises(Interrupted):
        writer_of(server, direct_with_verification, micro_tokenizer, stop).write([(SUM, tuple(range(40)))])
    assert len(server.requests) < 40
