"""Calls of functions: what clients say of them, and what they are told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cogitate.apps.serve.api.chat import ChatAnswer, ChatForm, plan_chat
from cogitate.apps.serve.api.messages import MessageAnswer, MessageForm, plan_message
from cogitate.apps.serve.api.responses import ResponseAnswer, plan_response
from cogitate.apps.serve.api.responses_in import ResponsesForm
from cogitate.apps.serve.api.tokens import TokenizeForm, tokenize
from cogitate.apps.serve.drawing.grammar import with_named_arguments
from cogitate.apps.serve.model import ServedModel
from cogitate.tokenizer.tools.call_forms import DEEPSEEK_V31, HERMES
from cogitate.tokenizer.tools.turns import Function
from tests.apps.serve.conftest import TEMPLATE, Client
from tests.apps.serve.scripted import chat, model_of, read, script, steps_of, tokens_of

SCHEMA = {
    "type": "object", "properties": {"digit": {"enum": [1, 2]}}, "required": ["digit"], "additionalProperties": False,
}  # fmt: skip
ADD = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": SCHEMA}}
NOW = {"type": "function", "function": {"name": "now"}}
SAID = (
    'I need <tool_call>x\n</think>\n\nI |call.\n<tool_|call>\n{"name": "add", "argum|ents": {"digit": 1}}\n</tool_call>\n'
    '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
)
BOTH = [("add", {"digit": 1}), ("now", {})]


@pytest.fixture(scope="module")
def model(long_model: Path, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return model_of(long_model, tmp_path_factory.mktemp("tools") / "micro")


def says(model: ServedModel, text: str, ended: str = "stop") -> ServedModel:
    return script(model, steps_of(tokens_of(model, text), ended, each=3))


def calls_of(message: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls", [])]


def read_chat(model: ServedModel, form: ChatForm) -> tuple[dict[str, Any], dict[str, Any]]:
    """A whole choice, and what a stream's deltas join to."""
    whole, events = read(model, plan_chat(form, model), lambda drawing: ChatAnswer(form, model, drawing, ("reasoning",)))
    joined: dict[str, Any] = {"content": "", "reasoning": "", "tool_calls": []}
    for event in events:
        delta = event["choices"][0]["delta"]
        for name in ("content", "reasoning"):
            joined[name] += delta.get(name) or ""
        joined["tool_calls"] += delta.get("tool_calls", [])
    return whole["choices"][0], {"message": joined, "finish_reason": events[-1]["choices"][0]["finish_reason"]}


def test_calls_are_read_from_the_answer_alone_whole_and_streamed(model: ServedModel) -> None:
    whole, streamed = read_chat(says(model, SAID), chat(tools=[ADD, NOW]))
    assert (whole["finish_reason"], streamed["finish_reason"]) == ("tool_calls", "tool_calls")
    for message in (whole["message"], streamed["message"]):
        assert (message["reasoning"], message["content"]) == ("I need <tool_call>x", "I call.")
        assert calls_of(message) == BOTH
    assert [call["index"] for call in streamed["message"]["tool_calls"]] == [0, 1]
    assert len({call["id"] for call in streamed["message"]["tool_calls"]}) == 2


def test_without_tools_or_with_none_a_call_is_text(model: ServedModel) -> None:
    text = SAID.partition("</think>\n\n")[2].replace("|", "")
    each: list[dict[str, Any]] = [{}, {"tools": [ADD], "tool_choice": "none"}, {"tools": []}]
    for settings in each:
        whole, streamed = read_chat(says(model, SAID), chat(**settings))
        assert whole["message"]["content"] == streamed["message"]["content"] == text
        assert whole["finish_reason"] == "stop"
        assert "tool_calls" not in whole["message"]


def test_one_call_ends_the_completion_where_they_may_not_be_parallel(model: ServedModel) -> None:
    whole, streamed = read_chat(says(model, SAID), chat(tools=[ADD, NOW], parallel_tool_calls=False))
    assert calls_of(whole["message"]) == calls_of(streamed["message"]) == BOTH[:1]
    assert whole["finish_reason"] == "tool_calls"


def test_a_call_that_is_cut_by_the_limit_is_text(model: ServedModel) -> None:
    whole, streamed = read_chat(says(model, '</think>a\n<tool_call>\n{"name": "add"', "length"), chat(tools=[ADD]))
    assert whole["message"]["content"] == streamed["message"]["content"] == 'a\n<tool_call>\n{"name": "add"'
    assert (whole["finish_reason"], calls_of(whole["message"])) == ("length", [])


def test_anthropics_blocks_are_the_same_whole_and_streamed(model: ServedModel) -> None:
    tools = [{"name": "add", "input_schema": SCHEMA}, {"name": "now", "input_schema": {"type": "object"}}]
    form = MessageForm.model_validate(
        {"model": "micro", "max_tokens": 50, "messages": [{"role": "user", "content": "1"}], "tools": tools}
    )
    whole, events = read(says(model, SAID), plan_message(form, model), lambda drawing: MessageAnswer(form, drawing))
    assert [block["type"] for block in whole["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert [(block["name"], block["input"]) for block in whole["content"][2:]] == BOTH
    assert whole["stop_reason"] == "tool_use"
    begun = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    said = [event["delta"]["partial_json"] for event in events if event.get("delta", {}).get("type") == "input_json_delta"]
    assert [(block["type"], block.get("name"), block.get("input")) for block in begun[2:]] == [
        ("tool_use", "add", {}), ("tool_use", "now", {}),
    ]  # fmt: skip
    assert [json.loads(text) for text in said] == [{"digit": 1}, {}]
    assert [event["type"] for event in events].count("content_block_stop") == 4


def test_items_of_responses_are_the_same_whole_and_streamed(model: ServedModel) -> None:
    tools = [{"type": "function", **ADD["function"]}, {"type": "function", "name": "now"}]  # type: ignore[dict-item]
    form = ResponsesForm.model_validate({"model": "micro", "input": "1", "tools": tools})
    whole, events = read(says(model, SAID), plan_response(form, model), lambda drawing: ResponseAnswer(form, drawing))
    assert [item["type"] for item in whole["output"]] == ["reasoning", "message", "function_call", "function_call"]
    assert [(item["name"], json.loads(item["arguments"])) for item in whole["output"][2:]] == BOTH
    assert whole["tools"][0]["name"] == "add"
    bare, streamed = ([item | {"id": "", "call_id": ""} for item in each["output"]] for each in (whole, events[-1]["response"]))
    assert bare == streamed
    assert [event["sequence_number"] for event in events] == [*range(len(events))]
    done = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert [(event["name"], event["output_index"]) for event in done] == [("add", 2), ("now", 3)]


def test_a_conversation_goes_on_from_calls_and_their_results_in_each_form(model: ServedModel) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"digit":1}'}}
    asked = chat(
        messages=[
            {"role": "user", "content": "1"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "2"},
        ],
        tools=[ADD],
    )
    prompt = plan_chat(asked, model).prompt
    text = model.tokenizer.decode(prompt.ids)
    assert 'assistant: <tool_call>\n{"name": "add", "arguments": {"digit": 1}}\n</tool_call>\nuser: <tool_response>\n2' in text
    anthropic = MessageForm.model_validate(
        {
            "model": "micro",
            "max_tokens": 50,
            "tools": [{"name": "add", "description": "Adds.", "input_schema": SCHEMA}],
            "messages": [
                {"role": "user", "content": "1"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "add", "input": {"digit": 1}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "2"}]},
            ],
        }
    )
    assert plan_message(anthropic, model).prompt == prompt
    responses = ResponsesForm.model_validate(
        {
            "model": "micro",
            "tools": [{"type": "function", **ADD["function"]}],  # type: ignore[dict-item]
            "input": [
                {"role": "user", "content": "1"},
                {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"digit":1}'},
                {"type": "function_call_output", "call_id": "c1", "output": "2"},
            ],
        }
    )
    assert plan_response(responses, model).prompt == prompt


def test_the_thinking_before_a_call_is_part_of_the_prompt(model: ServedModel) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "", "reasoning": "quietly", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "assistant", "content": "two", "reasoning": "loudly"},
        {"role": "user", "content": "3"},
    ]
    text = model.tokenizer.decode(plan_chat(chat(messages=turns), model).prompt.ids)
    assert "quietly" in text
    assert "loudly" not in text


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "add"}}])
def test_a_model_that_must_call_calls_by_the_schema_after_its_thinking(long_client: Client, choice: Any) -> None:
    settings = {"tools": [ADD], "tool_choice": choice, "parallel_tool_calls": False, "thinking_token_budget": 4}
    answer = long_client.chat(max_tokens=90, **settings)["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["content"] is None
    assert answer["message"]["reasoning"]
    ((name, arguments),) = calls_of(answer["message"])
    assert (name, arguments["digit"] in (1, 2)) == ("add", True)


def test_without_thinking_a_required_call_is_all_of_the_completion(long_client: Client) -> None:
    settings: dict[str, Any] = {
        "tools": [ADD],
        "tool_choice": "required",
        "reasoning_effort": "none",
        "parallel_tool_calls": False,
    }
    answer = long_client.chat(max_tokens=90, **settings)["choices"][0]["message"]
    assert (answer["content"], answer["reasoning"], len(calls_of(answer))) == (None, None, 1)


STRICT = {"type": "function", "function": {**ADD["function"], "strict": True}}  # type: ignore[dict-item]


@pytest.mark.parametrize("control", [False, True])
def test_strict_leaves_text_free_and_rules_calls(model: ServedModel, control: bool) -> None:
    """What the grammar allows after text, tags and names, whether the tag is a token or text."""
    form, token = DEEPSEEK_V31 if control else HERMES, model.tokenizer.encode("Y")[0]
    tags = {form.begins: token, form.opens: token + 1} if control else {}
    function = Function("add", "", SCHEMA)
    make = model.grammars.of_calls(form, [function], control_ids=tags, thinks=False, free=True)
    grammar, drawn = make(), list[int]()

    def allows(*more: int) -> bool:
        for each in more:
            logits = torch.zeros(model.vocabulary)
            grammar.restrict(np.array(drawn), logits)
            assert not grammar.failure, grammar.failure
            if logits[each] < 0:
                return False
            drawn.append(each)
        return True

    def text(said: str) -> list[int]:
        return model.tokenizer.encode(said)

    opens = [token, token + 1] if control else text("<tool_call>")
    assert allows(*text("Well, {x} \n"), *opens, *text(form.before.removeprefix(form.opens).replace("NAME", "add")))
    assert not allows(*text('{"digit": 3'))
    assert allows(*text("2}"), *text(form.after), *([] if control else text(" and more")))
    if control:  # which is read as text, too
        grammar, drawn = make(), []
        assert not allows(*text(f"Well, {form.opens}"))


def test_a_strict_function_leaves_the_answer_free(long_client: Client) -> None:
    answer = long_client.chat(max_tokens=60, tools=[STRICT], thinking_token_budget=4)["choices"][0]
    assert answer["message"]["content"]
    assert len(answer["message"]["reasoning"]) > 0


def test_tokenize_counts_the_tools(long_client: Client) -> None:
    asked = {"model": "micro", "messages": [{"role": "user", "content": "Say a number."}], "tools": [ADD]}
    status, counted = long_client.post("/tokenize", asked)
    assert (status, counted["count"]) == (200, long_client.chat(tools=[ADD], max_tokens=1)["usage"]["prompt_tokens"])
    assert long_client.post("/tokenize", {"model": "micro", "prompt": "1", "tools": [ADD]})[0] == 400


def test_a_call_of_a_function_that_is_not_offered_is_text(model: ServedModel) -> None:
    text = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    whole, streamed = read_chat(says(model, f"</think>\n\n{text}"), chat(tools=[ADD]))
    assert whole["message"]["content"] == streamed["message"]["content"] == text
    assert (whole["finish_reason"], calls_of(whole["message"])) == ("stop", [])


def anthropic(content: Any, *before: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"model": "micro", "max_tokens": 50, "messages": [*before, {"role": "user", "content": content}]} | settings


def test_the_model_reads_that_a_result_is_an_error(model: ServedModel) -> None:
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "add", "input": {}}]}
    asked = {"role": "user", "content": "1"}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "no such file", "is_error": True}
    form = MessageForm.model_validate(anthropic([result], asked, use))
    assert "<tool_response>\nError: no such file" in model.tokenizer.decode(plan_message(form, model).prompt.ids)


def test_thinking_of_responses_belongs_to_the_assistants_next_turn_once(model: ServedModel) -> None:
    def turns(*items: str) -> list[tuple[str, str | None]]:
        each: dict[str, dict[str, Any]] = {
            "reasoning": {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "quietly"}]},
            "message": {"role": "assistant", "content": "I call."},
            "call": {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            "output": {"type": "function_call_output", "call_id": "c", "output": "2"},
        }
        form = ResponsesForm.model_validate({"model": "micro", "input": [each[item] for item in items]})
        return [(turn.role, getattr(turn, "reasoning", None)) for turn in form.as_chat().messages]

    assert turns("reasoning", "message", "call", "output") == [("assistant", "quietly"), ("tool", None)]
    assert turns("reasoning", "call", "output", "call") == [("assistant", "quietly"), ("tool", None), ("assistant", None)]


def test_tokenize_opens_the_thinking_where_calls_follow_a_grammar(long_model: Path, tmp_path: Path) -> None:
    model = model_of(long_model, tmp_path / "micro", TEMPLATE.partition("{% if enable_thinking")[0] + "{% endif %}")
    model.thinks, messages = True, [{"role": "user", "content": "1"}]
    counted = tokenize(TokenizeForm.model_validate({"model": "micro", "messages": messages, "tools": [STRICT]}), model)
    assert counted["tokens"] == [*plan_chat(chat(messages=messages, tools=[STRICT]), model).prompt.ids]


@pytest.mark.parametrize("named", [False, True])
def test_further_arguments_are_forbidden_only_where_the_schema_names_its_own(model: ServedModel, named: bool) -> None:
    schema = (
        SCHEMA if named else {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"digit": {"const": 1}}}}}
    )
    assert ("additionalProperties" in with_named_arguments({**schema, "type": "object"})) == named
    function = Function("add", "", {"type": "object", **schema})
    grammar = model.grammars.of_calls(HERMES, [function], control_ids={}, thinks=False)()
    logits, tokens = torch.zeros(model.vocabulary), model.tokenizer.encode(f'{HERMES.before.replace("NAME", "add")}{{"digit": ')
    grammar.restrict(np.array(tokens), logits)
    assert not grammar.failure
    assert logits[model.tokenizer.encode("1")[0]] == 0
