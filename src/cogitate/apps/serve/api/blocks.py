"""Conversations in Anthropic's form, as the turns of OpenAI's."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from cogitate.apps.serve.api.forms import Form, RefusedError
from cogitate.apps.serve.api.messages_in import AssistantTurn, GivenCall, GivenFunction, ToolTurn, Turn, UserTurn
from cogitate.apps.serve.api.tools_in import FunctionForm, Name, ToolForm


class CacheControl(Form):
    """A hint: prompts are kept for later requests in any case."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class TextBlock(Form):
    type: Literal["text"]
    text: str
    cache_control: CacheControl | None = None
    citations: None = None


class ThinkingBlock(Form):
    """Earlier thinking: it is left out of the prompt, as in the other forms."""

    type: Literal["thinking"]
    thinking: str
    signature: str | None = None


class RedactedBlock(Form):
    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(Form):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]
    cache_control: CacheControl | None = None


class ToolResultBlock(Form):
    """`is_error`: the model reads "Error: " before the content."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[TextBlock] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


Block = Annotated[TextBlock | ThinkingBlock | RedactedBlock | ToolUseBlock | ToolResultBlock, Field(discriminator="type")]


class MessageTurn(Form):
    role: Literal["user", "assistant"]
    content: str | list[Block]


class AnthropicTool(Form):
    type: Literal["custom"] | None = None
    name: Name
    description: str | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None  # as in FunctionForm
    cache_control: CacheControl | None = None


class AnthropicChoice(Form):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content if isinstance(block, TextBlock))


def turns_of_message(turn: MessageTurn, place: str) -> list[Turn]:
    """Results of calls stand before what the user says beside them."""
    blocks = [] if isinstance(turn.content, str) else turn.content
    uses = [block for block in blocks if isinstance(block, ToolUseBlock)]
    results = [block for block in blocks if isinstance(block, ToolResultBlock)]
    text = text_of(turn.content)
    if turn.role == "assistant":
        if results:
            raise RefusedError(f"{place}: a tool_result stands in a message of the user's", parameter="messages")
        thinking = "".join(block.thinking for block in blocks if isinstance(block, ThinkingBlock))
        calls = [GivenCall(id=use.id, function=GivenFunction(name=use.name, arguments=json.dumps(use.input))) for use in uses]
        return [AssistantTurn(role="assistant", content=text, reasoning=thinking or None, tool_calls=calls or None)]
    if uses:
        raise RefusedError(f"{place}: a tool_use stands in a message of the assistant's", parameter="messages")
    turns: list[Turn] = [
        ToolTurn(
            role="tool",
            content=("Error: " if result.is_error else "") + text_of(result.content or ""),
            tool_call_id=result.tool_use_id,
        )
        for result in results
    ]
    return [*turns, UserTurn(role="user", content=text)] if text or not turns else turns


def openai_tool(tool: AnthropicTool) -> ToolForm:
    function = FunctionForm(name=tool.name, description=tool.description, parameters=tool.input_schema, strict=tool.strict)
    return ToolForm(type="function", function=function)
