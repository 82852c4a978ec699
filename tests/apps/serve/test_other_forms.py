"""/v1/completions, /v1/messages, /tokenize and what tells about the server."""

from typing import Any

from tests.apps.serve.conftest import Client
from tests.web.served import ask

MESSAGE = {"model": "micro", "max_tokens": 20, "messages": [{"role": "user", "content": "Say a number."}]}


def test_a_text_goes_on_as_it_was_drawn(client: Client) -> None:
    body = {"model": "micro", "prompt": "Say a number.", "seed": 1, "max_tokens": 20, "n": 2}
    status, answer = client.post("/v1/completions", body)
    assert (status, answer["object"]) == (200, "text_completion")
    chunks = [content for _, content in client.events("/v1/completions", body)]
    assert chunks[-1] == "[DONE]"
    for index, choice in enumerate(answer["choices"]):
        pieces = [piece for chunk in chunks[:-1] for piece in chunk["choices"] if piece["index"] == index]
        assert "".join(piece["text"] for piece in pieces) == choice["text"]
        assert pieces[-1]["finish_reason"] == choice["finish_reason"]


def test_tokens_and_text_are_exchanged(client: Client) -> None:
    status, answer = client.post("/tokenize", {"model": "micro", "prompt": "Say \u4f60 <think>"})
    assert (status, answer["count"], answer["max_model_len"]) == (200, len(answer["tokens"]), 128)
    assert client.post("/detokenize", {"model": "micro", "tokens": answer["tokens"]})[1] == {"prompt": "Say \u4f60 <think>"}
    turns = {"model": "micro", "messages": [{"role": "user", "content": "Say a number."}]}
    assert client.post("/tokenize", turns)[1]["count"] == client.chat()["usage"]["prompt_tokens"]
    assert client.refused("/tokenize", max_tokens=1).startswith("400 max_tokens: this server does not support it")


def test_prompts_can_be_tokens(client: Client) -> None:
    body: dict[str, Any] = {"model": "micro", "prompt": "Say a number.", "seed": 1}
    tokens = client.post("/tokenize", {"model": "micro", "prompt": "Say a number."})[1]["tokens"]
    assert (
        client.post("/v1/completions", body)[1]["choices"]
        == client.post("/v1/completions", body | {"prompt": tokens})[1]["choices"]
    )
    assert client.post("/v1/completions", body | {"prompt": [9999]})[0] == 400
    assert client.post("/v1/completions", body | {"prompt": ""})[0] == 400


def test_a_message_has_blocks_of_thinking_and_text(client: Client) -> None:
    status, answer = client.post("/v1/messages", MESSAGE | {"thinking": {"type": "enabled", "budget_tokens": 5}})
    assert (status, answer["type"], answer["role"]) == (200, "message", "assistant")
    assert [block["type"] for block in answer["content"]] == ["thinking", "text"]
    usage = answer["usage"]
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == client.post("/v1/messages/count_tokens", {
        "model": "micro", "messages": MESSAGE["messages"],
    })[1]["input_tokens"]  # fmt: skip


def test_a_streamed_message_has_the_events_that_clients_rely_on(client: Client) -> None:
    body = MESSAGE | {"thinking": {"type": "enabled", "budget_tokens": 5}, "temperature": 0}
    events = client.events("/v1/messages", body)
    assert [name for name, _ in events] == [content["type"] for _, content in events]
    names = [name for name, _ in events if name != "content_block_delta"]
    block = ["content_block_start", "content_block_stop"]
    assert names == ["message_start", *block, *block, "message_delta", "message_stop"]
    whole = client.post("/v1/messages", body)[1]
    for index, key in enumerate(("thinking", "text")):
        deltas = [content["delta"] for name, content in events if name == "content_block_delta" and content["index"] == index]
        assert "".join(delta[key] for delta in deltas) == whole["content"][index][key]
    assert events[-2][1]["usage"] == whole["usage"]
    assert events[-2][1]["delta"] == {"stop_reason": whole["stop_reason"], "stop_sequence": None}


def test_a_response_has_items_of_thinking_and_text(client: Client) -> None:
    body = {
        "model": "micro",
        "input": "Say a number.",
        "max_output_tokens": 20,
        "temperature": 0,
        "reasoning": {"effort": "none"},
    }
    status, answer = client.post("/v1/responses", body)
    assert (status, answer["object"], answer["status"]) == (200, "response", "incomplete")
    (message,) = answer["output"]
    assert (message["type"], message["content"][0]["type"]) == ("message", "output_text")
    thought = client.post("/v1/responses", body | {"reasoning": None})[1]
    assert [item["type"] for item in thought["output"]] == ["reasoning"]
    assert thought["usage"]["output_tokens_details"]["reasoning_tokens"] == 20
    back = [{"role": "user", "content": "1"}, *thought["output"], *answer["output"], {"role": "user", "content": "2"}]
    assert client.post("/v1/responses", body | {"input": back})[0] == 200
    status, refused = client.post("/v1/responses", body | {"previous_response_id": "resp_1"})
    assert (status, refused["error"]["message"]) == (400, "previous_response_id: this server does not support it")


def test_a_streamed_response_is_the_whole_one(client: Client) -> None:
    body = {"model": "micro", "input": "Say a number.", "max_output_tokens": 20, "temperature": 0}
    for settings in ({"reasoning": {"effort": "none"}}, {}):
        whole = client.post("/v1/responses", body | settings)[1]
        events = client.events("/v1/responses", body | settings)
        assert [name for name, _ in events] == [content["type"] for _, content in events]
        assert [content["sequence_number"] for _, content in events] == list(range(len(events)))
        deltas = "".join(content["delta"] for name, content in events if name.endswith("_text.delta"))
        assert deltas == whole["output"][0]["content"][0]["text"]
        last = events[-1][1]["response"]
        assert (events[0][0], events[-1][0], last["usage"]) == ("response.created", "response.incomplete", whole["usage"])
        assert [item["content"] for item in last["output"]] == [item["content"] for item in whole["output"]]


def test_mistakes_in_messages_are_named(client: Client) -> None:
    def said(**settings: Any) -> str:
        status, answer = client.post("/v1/messages", MESSAGE | settings)
        assert (status, answer["type"]) == (400, "error")
        return str(answer["error"]["message"])

    assert said(max_tokens=None) == "max_tokens: input should be a valid integer"
    assert said(thinking={"type": "enabled"}) == "thinking: enabled needs budget_tokens"
    assert said(thinking={"type": "enabled", "budget_tokens": 20}) == "thinking: budget_tokens must be less than max_tokens"
    assert said(mcp_servers=[]) == "mcp_servers: this server does not support it"
    assert said(temperature=1.5) == "temperature: input should be less than or equal to 1"


def test_what_tells_about_the_server(client: Client) -> None:
    status, _, text = ask(client.url, "/health")
    assert (status, text) == (200, '{"status":"ok"}')
    status, _, text = ask(client.url, "/v1/models/micro")
    assert status == 200
    assert '"max_model_len":128' in text
    assert ask(client.url, "/v1/models/other")[0] == 404
    assert ask(client.url, "/nothing")[0] == 404
    client.chat()
    shown = ask(client.url, "/metrics")[2]
    for name in (
        "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prompt_tokens_total", "generation_tokens_total",
        "request_success_total", "prefix_cache_hits_total", "time_to_first_token_seconds_bucket", "request_params_n_sum",
        "inter_token_latency_seconds_sum", "e2e_request_latency_seconds_count", "request_queue_time_seconds_count",
    ):  # fmt: skip
        assert f"vllm:{name}{{" in shown
    assert "/" not in ask(client.url, "/v1/models")[2].replace("v1/", "")  # no path of this machine
