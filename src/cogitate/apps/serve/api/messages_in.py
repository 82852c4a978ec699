"""Conversations as clients send them, as the turns that a chat template knows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cogitate.apps.serve.api.forms import Form, RefusedError
from cogitate.tokenizer.thinking import join_thinking
from cogitate.types import Message


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
    tool_calls: list[Any] | None = Field(None, max_length=0)

    @property
    def thinking(self) -> str:
        return self.reasoning_content or self.reasoning or ""


Turn = Annotated[SystemTurn | UserTurn | AssistantTurn, Field(discriminator="role")]


def turns_of(turns: list[Turn], *, keep_thinking: bool) -> list[Message]:
    """
    Args:
        keep_thinking: earlier thinking is part of the prompt.

    Raises:
        RefusedError: there is no turn, or a text is not Unicode.
    """
    if not turns:
        raise RefusedError("messages: give at least one", parameter="messages")
    messages = []
    for number, turn in enumerate(turns):
        text = text_of(turn.content)
        thinking = turn.thinking if keep_thinking and isinstance(turn, AssistantTurn) else ""
        for name, said in (("content", text), ("reasoning", thinking)):
            try:
                said.encode()
            except UnicodeEncodeError:
                raise RefusedError(f"messages[{number}].{name}: not Unicode", parameter="messages") from None
        if isinstance(turn, AssistantTurn):
            messages.append(Message("assistant", join_thinking(thinking, text) if thinking else text))
        else:
            messages.append(Message("user" if turn.role == "user" else "system", text))
    return messages


def text_of(content: Content | None) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content or ())
