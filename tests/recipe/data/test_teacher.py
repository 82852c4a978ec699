"""A teacher behind a URL, tested against a real HTTP server of this process."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from cogitate.config import TeacherConfig
from cogitate.endpoint import Endpoint, Question
from cogitate.errors import EndpointError, Interrupted
from cogitate.recipe.data.candidates import Writer
from cogitate.recipe.data.collect import direct_with_verification, few_shot_with_a_long_example
from cogitate.recipe.data.teacher import contract_of, in_tags
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Message, Problem, SamplingParams
from tests.chat_server import Body, Server, says
from tests.recipe.scripted_backend import InlineGrader

PARAMS = SamplingParams(0.8, 0.95, 64)
ASKED = [Message("user", "What is 4 + 5?")]
SUM = Problem("1", "arithmetic", "math", "What is 4 + 5?", "9")

Make = Callable[[Mapping[str, Any], Endpoint], Writer]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def endpoint(server: Server, **settings: Any) -> Endpoint:
    return Endpoint(TeacherConfig(base_url=server.url, model="big", **settings), first_wait=0.01)


def test_thinking_that_is_handed_over_apart_stands_in_tags(server: Server) -> None:
    server.replies = [says("The answer is 9.", reasoning_content="4 + 5 = 9.")]
    text = in_tags(endpoint(server).ask(Question(tuple(ASKED), PARAMS)))
    assert text == "<think> 4 + 5 = 9. </think>\nThe answer is 9."
    assert contract_of(text) == "r1"
    assert contract_of("4 + 5 = 9. The answer is 9.") == "free"


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
