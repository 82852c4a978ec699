"""/v1/chat/completions against a running server."""

import time
from typing import Any

import pytest

from tests.apps.serve.conftest import Client, in_threads, wait_until
from tests.processor_time import cheapest

BUDGET: dict[str, Any] = {"thinking_token_budget": 6, "max_tokens": 30}


def joined(chunks: list[Any], index: int = 0) -> tuple[str, str, str | None]:
    """Thinking, answer and finish_reason of a stream."""
    choices = [choice for chunk in chunks[:-1] for choice in chunk["choices"] if choice["index"] == index]
    deltas = [choice["delta"] for choice in choices]
    assert all(delta.get("reasoning_content") == delta.get("reasoning") for delta in deltas)
    thinking = "".join(delta.get("reasoning") or "" for delta in deltas)
    answer = "".join(delta.get("content") or "" for delta in deltas)
    return thinking, answer, choices[-1]["finish_reason"]


def test_an_answer_has_the_form_that_clients_rely_on(client: Client) -> None:
    answer = client.chat(**BUDGET)
    assert answer["object"] == "chat.completion"
    assert answer["id"].startswith("chatcmpl-")
    assert isinstance(answer["created"], int)
    (choice,) = answer["choices"]
    message = choice["message"]
    assert (choice["index"], message["role"], message["refusal"], choice["logprobs"]) == (0, "assistant", None, None)
    assert "tool_calls" not in message
    assert message["reasoning"] == message["reasoning_content"]
    assert "think>" not in message["reasoning"] + message["content"]
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_thinking_is_counted_from_tokens_and_ends_at_its_budget(client: Client) -> None:
    for budget in (0, 1, 6):
        usage = client.chat(thinking_token_budget=budget, max_tokens=30)["usage"]
        assert usage["completion_tokens_details"]["reasoning_tokens"] == budget
    assert client.chat(max_tokens=9)["usage"]["completion_tokens_details"]["reasoning_tokens"] == 9  # never closed


def test_thinking_that_is_never_closed_is_thinking_and_no_answer(client: Client) -> None:
    (choice,) = client.chat(max_tokens=9)["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "")
    assert choice["message"]["reasoning"]


def test_a_stream_joined_is_the_whole_answer(client: Client) -> None:
    for seed in range(6):
        settings: dict[str, Any] = {"seed": seed, "thinking_token_budget": seed, "n": 2}
        whole = client.chat(**settings)["choices"]
        chunks = client.stream(**settings)
        for index, choice in enumerate(whole):
            message = choice["message"]
            said = message["reasoning"] or "", message["content"], choice["finish_reason"]
            assert joined(chunks, index) == said


def test_the_chunks_of_a_stream_are_of_one_answer(client: Client) -> None:
    *chunks, done = client.stream(**BUDGET, stream_options={"include_usage": True})
    assert done == "[DONE]"
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], client.chat(**BUDGET)["usage"])
    finished = [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]]
    assert finished[:-1] == [None] * (len(finished) - 1)
    assert finished[-1] in ("stop", "length")


def test_without_a_seed_answers_differ_and_with_one_they_do_not(client: Client) -> None:
    texts = [client.chat(seed=seed)["choices"][0]["message"]["reasoning"] for seed in (None, None, 7, 7)]
    assert texts[0] != texts[1]
    assert texts[2] == texts[3]


def test_a_seeded_answer_is_the_same_alone_and_beside_others(client: Client) -> None:
    alone = client.chat("And now?", seed=5, **BUDGET)["choices"]
    works = [lambda seed=seed: client.chat(f"Question {seed}", seed=seed, max_tokens=40) for seed in range(15)]
    together = in_threads([*works, lambda: client.chat("And now?", seed=5, **BUDGET)])
    assert together[-1]["choices"] == alone


def test_choices_differ_and_the_first_is_that_of_one(client: Client) -> None:
    three = client.chat(n=3)["choices"]
    assert len({choice["message"]["reasoning"] for choice in three}) == 3
    assert three[0] == client.chat(n=1)["choices"][0]


def test_earlier_thinking_stays_out_of_the_prompt_unless_it_is_asked_for(client: Client) -> None:
    def tokens(earlier: dict[str, str], **settings: Any) -> int:
        turns = [
            {"role": "user", "content": "1"},
            {"role": "assistant", "content": "2", **earlier},
            {"role": "user", "content": "3"},
        ]
        prompt_tokens: int = client.chat(messages=turns, **settings)["usage"]["prompt_tokens"]
        return prompt_tokens

    bare = tokens({})
    assert tokens({"reasoning_content": "a b"}) == tokens({"reasoning": "a b"}) == bare
    assert tokens({"reasoning": "a b"}, chat_template_kwargs={"keep_thinking": True}) > bare


def test_thinking_can_be_turned_off(client: Client) -> None:
    for settings in ({"chat_template_kwargs": {"enable_thinking": False}}, {"reasoning_effort": "none"}):
        answer = client.chat(**settings)
        assert answer["choices"][0]["message"]["reasoning"] is None
        assert answer["choices"][0]["message"]["content"]
        assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


def test_thinking_is_left_out_where_nobody_wants_it(client: Client) -> None:
    assert "reasoning" not in client.chat(include_reasoning=False)["choices"][0]["message"]


def test_a_client_that_leaves_ends_its_completion(client: Client) -> None:
    connection = client.begin_stream(max_tokens=90, ignore_eos=True)
    connection.close()
    before = client.model.engine.tokens_sampled
    wait_until(lambda: client.model.loop.load.running == 0 and client.model.engine.pending() == 0)
    assert client.model.engine.tokens_sampled < before + 90


def test_beyond_the_queue_requests_are_refused(client: Client) -> None:
    answers = in_threads([
        lambda: client.post("/v1/chat/completions", {"model": "micro", "messages": [{"role": "user", "content": "1"}], "n": 12})
        for _ in range(3)
    ])  # fmt: skip
    assert sorted(status for status, _ in answers) == [200, 200, 429]


def test_an_idle_server_does_nothing(client: Client) -> None:
    wait_until(lambda: client.model.engine.pending() == 0)
    assert cheapest(lambda go: time.sleep(0.5), enough=0.1) < 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temprature": 1}, "400 temprature: this server does not support it"),
        ({"best_of": 2}, "400 best_of: this server does not support it"),
        ({"temperature": "1"}, "400 temperature: input should be a valid number"),
        ({"temperature": 2.5}, "400 temperature: input should be less than or equal to 2"),
        ({"top_p": 0}, "400 top_p: input should be greater than 0"),
        ({"n": 17}, "400 n: input should be less than or equal to 16"),
        ({"n": True}, "400 n: input should be a valid integer"),
        ({"stop": [""]}, "400 stop: input should be a valid string"),
        ({"max_tokens": 0}, "400 max_tokens: input should be greater than or equal to 1"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "400 max_tokens: contradicts max_completion_tokens: give one of them"),
        ({"max_tokens": 4000}, "400 max_completion_tokens: 22 tokens of the prompt and 4000 new ones: the context has 128"),
        ({"logit_bias": {"9999": 1}}, "400 logit_bias: '9999' is no token of this model"),
        ({"logit_bias": {"x": 1}}, "400 logit_bias: 'x' is no token of this model"),
        ({"top_logprobs": 2}, "400 top_logprobs: has no effect without logprobs = true"),
        ({"stream_options": {"include_usage": True}}, "400 stream_options: has no effect without stream = true"),
        ({"model": "other"}, "404 model: 'other' is not served; the models are: micro"),
        ({"messages": []}, "400 messages: give at least one"),
        ({"messages": [{"role": "narrator", "content": "1"}]}, "400 messages[0]: input tag 'narrator'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "400 messages[0]"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "400 messages[0].content: not Unicode"),
        ({"continue_final_message": True}, "400 continue_final_message: the last message must be the assistant's"),
        ({"thinking_token_budget": -2}, "400 thinking_token_budget: input should be greater than or equal to -1"),
        ({"thinking_token_budget": 1.5}, "400 thinking_token_budget: input should be a valid integer"),
        (
            {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": True}},
            "400 reasoning_effort: enable_thinking, thinking and reasoning_effort contradict each other",
        ),
    ],
)
def test_a_mistake_is_named_in_one_line(client: Client, settings: dict[str, Any], message: str) -> None:
    said = client.refused(**settings)
    assert said.startswith(message)
    assert "\n" not in said
