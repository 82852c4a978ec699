"""What requests say of tools that does not fit: refused, in one line, by its name."""

from typing import Any

import pytest

from cogitate.apps.serve.api.chat import plan_chat
from cogitate.apps.serve.api.forms import RefusedError
from cogitate.apps.serve.api.messages import MessageForm, plan_message
from cogitate.apps.serve.model import ServedModel
from cogitate.tokenizer.tools.call_forms import LLAMA3
from cogitate.tokenizer.tools.conversation import Calling
from tests.apps.serve.conftest import Client
from tests.apps.serve.scripted import chat, refusal
from tests.apps.serve.test_tools import ADD, SCHEMA, STRICT, anthropic, model

__all__ = ["model"]  # a fixture


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tool_choice": "required"}, "tool_choice: there are no tools to choose from"),
        ({"parallel_tool_calls": True}, "parallel_tool_calls: has no effect without tools"),
        ({"tools": [ADD, ADD]}, "tools: two functions are called 'add'"),
        (
            {"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "sub"}}},
            "tool_choice: 'sub' is none of the tools: add",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
            "tools: tools[0].function.parameters: must be the schema of an object",
        ),
        ({"tools": [ADD], "response_format": {"type": "json_object"}}, "response_format: not together with tools"),
        (
            {
                "messages": [
                    {"role": "user", "content": "1"},
                    {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
                ],
                "continue_final_message": True,
            },
            "continue_final_message: the last message must be the assistant's, without calls",
        ),
        ({"tools": [ADD], "tool_choice": "required", "ignore_eos": True}, "tool_choice: not together with ignore_eos"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "c", "content": "2"}]},
            "messages: messages[0].tool_call_id: no earlier message",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "[]"}}]}]},
            "messages: messages[0].tool_calls[0].function.arguments: no JSON object",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "\ud800", "function": {"name": "f", "arguments": "{}"}}]}
                ]
            },
            "messages: messages[0].tool_calls[0].id: not Unicode",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}] * 2}
                ]
            },
            "messages: messages[0].tool_calls[1].id: an earlier call has this id",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "description": "\ud800"}}]},
            "tools: tools[0].function.description: not Unicode",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"title": "\ud800"}}}]},
            "tools: tools[0].function.parameters: not Unicode",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"default": float("nan")}}}]},
            "tools: tools[0].function.parameters: holds NaN or Infinity",
        ),
    ],
)
def test_tools_that_do_not_fit_are_refused_in_one_line(model: ServedModel, settings: dict[str, Any], said: str) -> None:
    assert refusal(model, **settings).startswith(said)


def test_tools_of_a_wrong_form_are_refused_by_their_place(long_client: Client) -> None:
    def tool(**function: Any) -> list[dict[str, Any]]:
        return [{"type": "function", "function": {"name": "f"} | function}]

    assert (
        long_client.refused(tools=tool(name="a b"))
        == "400 tools[0].function.name: string should match pattern '^[a-zA-Z0-9_.-]{1,64}$'"
    )
    assert long_client.refused(tools=tool(parameters="x")).startswith("400 tools[0].function.parameters: input should be")
    assert long_client.refused(tools=[{"type": "retrieval"}]).startswith("400 tools[0].type: input should be 'function'")
    wrong = {"type": "object", "properties": {"a": {"type": "nothing"}}}
    assert "tools" in long_client.refused(tools=tool(parameters=wrong), tool_choice="required")


def test_strict_is_refused_where_the_form_of_calls_cannot_be_followed(
    model: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "calling", Calling(LLAMA3))
    assert refusal(model, tools=[STRICT]).startswith("tools: strict cannot be followed in this model's form")
    assert plan_chat(chat(tools=[STRICT], tool_choice="required"), model).grammar is not None


@pytest.mark.parametrize("tools", [None, [], [ADD]])
def test_parallel_calls_are_refused_by_name_where_nothing_can_be_called(model: ServedModel, tools: Any) -> None:
    none = {"tool_choice": "none"} if tools else {}
    assert refusal(model, tools=tools, parallel_tool_calls=False, **none).startswith("parallel_tool_calls: has no effect")
    given = None if tools is None else [{"name": "add", "input_schema": SCHEMA}] * len(tools)
    choice = {"type": "none" if tools else "auto", "disable_parallel_tool_use": True}
    form = MessageForm.model_validate(anthropic("1", tools=given, tool_choice=choice))
    with pytest.raises(RefusedError, match="has no effect") as caught:
        plan_message(form, model)
    assert caught.value.parameter == "tool_choice.disable_parallel_tool_use"
