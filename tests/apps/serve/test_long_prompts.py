"""Long prompts beside running streams: who waits, and what the usage says."""

from typing import Any

from tests.apps.serve.conftest import Client, in_threads, wait_until

LONG = "a number of words " * 300


def test_a_seeded_request_gives_the_same_alone_and_beside_63_others(long_client: Client) -> None:
    def said(question: str, **settings: Any) -> Any:
        return long_client.chat(question, temperature=1.0, max_tokens=30, ignore_eos=True, **settings)["choices"]

    questions = [f"{number} {LONG[: 7 * number]}" for number in range(16)]
    settings: list[dict[str, Any]] = [
        {},
        {"presence_penalty": 0.5, "top_k": 9},
        {"thinking_token_budget": 5},
        {"logprobs": True},
    ]
    asked = [(question, each) for question in questions for each in settings]
    alone = [said(question, **each) for question, each in asked[::8]]
    together = in_threads([lambda at=at: said(asked[at][0], **asked[at][1]) for at in range(len(asked))])  # type: ignore[misc]
    assert len(together) == 64
    assert together[::8] == alone


def test_a_stream_goes_on_while_a_long_prompt_is_read(long_client: Client) -> None:
    engine = long_client.model.engine
    connection = long_client.begin_stream(max_tokens=15_000, ignore_eos=True)
    read, sampled = engine.prompt_tokens_prefilled, engine.tokens_sampled
    long_client.chat(f"first {LONG}", max_tokens=1)
    pieces = (engine.prompt_tokens_prefilled - read) / long_client.model.limits.prefill_tokens
    assert pieces > 8
    assert engine.tokens_sampled - sampled >= pieces
    connection.close()
    wait_until(lambda: not long_client.model.loop.load.running)


def test_the_usage_says_which_tokens_of_the_prompt_were_there(long_client: Client) -> None:
    def usage(question: str, **settings: Any) -> dict[str, Any]:
        answer: dict[str, Any] = long_client.chat(question, max_tokens=1, **settings)["usage"]
        return answer

    question = f"unheard of {LONG}"
    first, again, longer = usage(question), usage(question), usage(f"{question} and more")
    cached = [each["prompt_tokens_details"]["cached_tokens"] for each in (first, again, longer)]
    assert cached[0] < 20
    assert cached[1] == again["prompt_tokens"] == first["prompt_tokens"]
    assert first["prompt_tokens"] - 20 < cached[2] < longer["prompt_tokens"]
    *_, last = long_client.stream(question, max_tokens=1, stream_options={"include_usage": True})[:-1]
    assert last["usage"] == again
    _, message = long_client.post(
        "/v1/messages", {"model": "micro", "max_tokens": 1, "messages": [{"role": "user", "content": question}]}
    )
    assert (message["usage"]["cache_read_input_tokens"], message["usage"]["input_tokens"]) == (cached[1], 0)
    _, response = long_client.post("/v1/responses", {"model": "micro", "input": question, "max_output_tokens": 1})
    assert response["usage"]["input_tokens_details"]["cached_tokens"] == cached[1]
