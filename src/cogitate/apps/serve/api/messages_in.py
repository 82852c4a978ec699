"""Conversations as clients send them, as the turns that a chat template knows."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from cogitate.apps.serve.api.forms import Form, RefusedError, check_unicode
from cogitate.tokenizer.thinking import join_thinking
from cogitate.tokenizer.tools import turns as tools
from cogitate.types import Message

MOST_CALLS = 128


class TextPart(Form):
    type: Literal["text"]
    text: str


Content = str | list[TextPart]


class SystemTurn(Form):
    role: Literal["system", "developer"]
    content: Content
    name: str | None = None


class UserTurn(Form):
    role: Literal["user"]
    content: Content
    name: str | None = None


class GivenFunction(Form):
    name: str
    arguments: str


class GivenCall(Form):
    """A call as a client sends it back."""

    id: str
    type: Literal["function"] = "function"
    function: GivenFunction
    index: int | None = None  # of streams, which some clients keep


class AssistantTurn(Form):
    """Thinking is accepted under both names; so are the empty fields that clients send back."""

    role: Literal["assistant"]
    content: Content | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    name: str | None = None
    refusal: None = None
    annotations: list[Any] | None = Field(None, max_length=0)
    audio: None = None
    function_call: None = None
    tool_calls: Annotated[list[GivenCall], Field(max_length=MOST_CALLS)] | None = None

    @property
    def thinking(self) -> str:
        return self.reasoning_content or self.reasoning or ""


class ToolTurn(Form):
    """What a call has returned."""

    role: Literal["tool"]
    content: Content
    tool_call_id: str
    name: str | None = None


Turn = Annotated[SystemTurn | UserTurn | AssistantTurn | ToolTurn, Field(discriminator="role")]


def turns_of(turns: list[Turn], *, keep_thinking: bool) -> list[tools.Turn]:
    """
    Args:
        keep_thinking: earlier thinking is part of the prompt. That of a turn with calls is in any case.

    Raises:
        RefusedError: there is no turn, a text is not Unicode, calls and results do not fit each other, or an id is given
            twice.
    """
    if not turns:
        raise RefusedError("messages: give at least one", parameter="messages")
    messages: list[tools.Turn] = []
    called: dict[str, str] = {}  # the name of the function, by the call's id
    for number, turn in enumerate(turns):
        text = text_of(turn.content)
        calls = calls_of(turn, number) if isinstance(turn, AssistantTurn) else ()
        thinking = turn.thinking if isinstance(turn, AssistantTurn) and (keep_thinking or calls) else ""
        at = f"messages[{number}]"
        check_unicode(text, f"{at}.content")
        check_unicode(thinking, f"{at}.reasoning")
        if isinstance(turn, AssistantTurn):
            text = join_thinking(thinking, text) if thinking else text
            for place, call in enumerate(calls):
                if call.id in called:
                    raise RefusedError(f"{at}.tool_calls[{place}].id: an earlier call has this id", parameter="messages")
                called[call.id] = call.name
            messages.append(tools.CallingTurn(text, calls) if calls else Message("assistant", text))
        elif isinstance(turn, ToolTurn):
            if turn.tool_call_id not in called:
                raise RefusedError(
                    f"{at}.tool_call_id: no earlier message of the assistant's has a call of this id", parameter="messages"
                )
            check_unicode(turn.name or "", f"{at}.name")
            messages.append(tools.ResultTurn(text, turn.tool_call_id, turn.name or called[turn.tool_call_id]))
        else:
            messages.append(Message("user" if turn.role == "user" else "system", text))
    return messages


def text_of(content: Content | None) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content or ())


def calls_of(turn: AssistantTurn, number: int) -> tuple[tools.ToolCall, ...]:
    """Raises RefusedError: arguments are no JSON object, or a text is not Unicode."""
    calls = []
    for place, call in enumerate(turn.tool_calls or ()):
        name, arguments = call.function.name, call.function.arguments or "{}"
        at = f"messages[{number}].tool_calls[{place}]"
        value = tools.object_of(arguments)
        if value is None:
            raise RefusedError(f"{at}.function.arguments: no JSON object", parameter="messages")
        check_unicode(name, f"{at}.function.name")
        check_unicode(call.id, f"{at}.id")
        calls.append(tools.ToolCall(name, json.dumps(value, ensure_ascii=False), call.id))
    return tuple(calls)
