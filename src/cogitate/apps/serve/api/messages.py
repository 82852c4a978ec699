"""/v1/messages and /v1/messages/count_tokens, in Anthropic's form."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from pydantic import Field

from cogitate.apps.serve.api.blocks import (
    AnthropicChoice,
    AnthropicTool,
    MessageTurn,
    TextBlock,
    openai_tool,
    text_of,
    turns_of_message,
)
from cogitate.apps.serve.api.chat import EFFORTS
from cogitate.apps.serve.api.forms import (
    LONGEST_CONVERSATION,
    MOST_STOPS,
    Form,
    RefusedError,
    StopText,
    first_given,
    new_tokens,
    seed_of,
)
from cogitate.apps.serve.api.messages_in import SystemTurn, Turn, turns_of
from cogitate.apps.serve.api.respond import event_of
from cogitate.apps.serve.api.tools_in import MOST_TOOLS, Calls, NamedChoice, NamedFunction, ToolChoice, calls_of
from cogitate.apps.serve.drawing.choice import Delta, Piece
from cogitate.apps.serve.drawing.drawing import Drawing
from cogitate.apps.serve.drawing.shaping import Shape
from cogitate.apps.serve.model import Plan, Prompt, ServedModel
from cogitate.tokenizer.tools.turns import ToolCall
from cogitate.types import Message, SamplingParams

NOTHING: list[Piece] = [("answer", "")]  # a completion without text is an empty block of text


class ThinkingSetting(Form):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, Field(ge=1)] | None = None


class OutputConfig(Form):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None


class Metadata(Form):
    """Who asks, for the client's own books: it changes nothing."""

    user_id: str | None = None


class CountForm(Form):
    model: str
    messages: Annotated[list[MessageTurn], Field(min_length=1, max_length=LONGEST_CONVERSATION)]
    system: str | list[TextBlock] | None = None
    thinking: ThinkingSetting | None = None
    tool_choice: AnthropicChoice | None = None
    tools: Annotated[list[AnthropicTool], Field(max_length=MOST_TOOLS)] | None = None

    def turns(self) -> list[Turn]:
        """As those of OpenAI's form. Raises RefusedError: a block stands in a turn of the other role."""
        turns: list[Turn] = []
        if self.system:
            turns.append(SystemTurn(role="system", content=text_of(self.system)))
        for number, turn in enumerate(self.messages):
            turns += turns_of_message(turn, f"messages[{number}]")
        return turns

    def calls(self) -> Calls:
        """Raises RefusedError as calls_of."""
        given = None if self.tools is None else [openai_tool(tool) for tool in self.tools]
        choice: ToolChoice | None = None
        parallel = None
        if self.tool_choice is not None:
            kind, name = self.tool_choice.type, self.tool_choice.name
            if (kind == "tool") != (name is not None):
                raise RefusedError("type tool and a name go together", parameter="tool_choice")
            choice = {"auto": "auto", "any": "required", "none": "none"}.get(kind)  # type: ignore[assignment]  # of ToolChoice
            if name is not None:
                choice = NamedChoice(type="function", function=NamedFunction(name=name))
            if self.tool_choice.disable_parallel_tool_use is not None:
                parallel = not self.tool_choice.disable_parallel_tool_use
        return calls_of(given, choice, parallel=parallel, name="tool_choice.disable_parallel_tool_use")

    @property
    def goes_on(self) -> bool:
        """A conversation that ends with the assistant's turn is gone on with."""
        return self.messages[-1].role == "assistant"

    def prompt(self, model: ServedModel, calls: Calls) -> Prompt:
        """Raises RefusedError, CheckpointError: the conversation cannot be given to the model."""
        thinking = None if self.thinking is None or self.thinking.type == "adaptive" else self.thinking.type == "enabled"
        turns = turns_of(self.turns(), keep_thinking=False)
        if self.goes_on and (calls.ruled or not isinstance(turns[-1], Message)):
            raise RefusedError("the last one must be the user's where tools are called", parameter="messages")
        return model.prompt(turns, thinking=thinking, goes_on=self.goes_on, opens=calls.ruled, functions=calls.functions)


class MessageForm(CountForm):
    max_tokens: Annotated[int, Field(ge=1)]
    metadata: Metadata | None = None
    output_config: OutputConfig | None = None
    stop_sequences: Annotated[list[StopText], Field(max_length=MOST_STOPS)] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None

    def budget(self, model: ServedModel) -> int | None:
        """Thinking tokens, at most. Raises RefusedError where it has no effect or leaves nothing for an answer."""
        given = None if self.thinking is None else self.thinking.budget_tokens
        if self.thinking is not None and self.thinking.type == "enabled" and given is None:
            raise RefusedError("enabled needs budget_tokens", parameter="thinking")
        if self.thinking is not None and self.thinking.type != "enabled" and given is not None:
            raise RefusedError("budget_tokens has no effect unless enabled", parameter="thinking")
        effort = None if self.output_config is None else self.output_config.effort
        if given is not None and given >= self.max_tokens:
            raise RefusedError("budget_tokens must be less than max_tokens", parameter="thinking")
        if (given is not None or effort is not None) and not model.thinks:
            name = "thinking" if given is not None else "output_config"
            raise RefusedError("has no effect: this model does not think", parameter=name)
        return first_given(given, EFFORTS.get(effort or ""))  # type: ignore[no-any-return]


def block_of(piece: Piece) -> dict[str, Any]:
    if isinstance(piece, ToolCall):
        return {"type": "tool_use", "id": piece.id, "name": piece.name, "input": json.loads(piece.arguments)}
    channel, text = piece
    if channel == "thinking":
        return {"type": "thinking", "thinking": text, "signature": ""}
    return {"type": "text", "text": text}


def plan_message(form: MessageForm, model: ServedModel) -> Plan:
    """How a request is drawn. Raises RefusedError, CheckpointError: it cannot be."""
    budget, calls = form.budget(model), form.calls()
    prompt = form.prompt(model, calls)
    limit = new_tokens(model, prompt, form.max_tokens, "max_tokens")
    temperature = float(first_given(form.temperature, model.defaults.get("temperature"), 1.0))
    top_p = float(first_given(form.top_p, model.defaults.get("top_p"), 1.0))
    return Plan(
        prompt,
        SamplingParams(temperature, top_p, limit),
        seed_of(None),
        shape=Shape(top_k=first_given(form.top_k, model.defaults.get("top_k"), 0)),
        stops=tuple(form.stop_sequences or ()),
        thinks=not calls.ruled or model.opened(prompt),
        budget=budget,
        grammar=calls.grammar(model, prompt),
        calls=calls.most,
        functions=calls.names,
    )


class MessageAnswer:
    """What is said of a drawing."""

    def __init__(self, form: MessageForm, drawing: Drawing):
        self._drawing = drawing
        self._head = {"id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant", "model": form.model}

    async def whole(self) -> dict[str, Any]:
        (delta,) = await self._drawing.whole()
        content = [block_of(piece) for piece in delta.pieces or NOTHING]
        return {**self._head, "content": content, **self._ending(delta), "usage": self._usage()}

    async def events(self) -> AsyncIterator[bytes]:
        start: dict[str, Any] = {
            **self._head,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._usage(),
        }
        yield event("message_start", message=start)
        last, kind, index = Delta(), "", -1
        async for news in self._drawing.updates():
            if not news:
                yield event("ping")
            for _, delta in news:
                last = delta
                for piece in delta.pieces or (NOTHING if delta.finish and not kind else []):
                    block = block_of(piece)
                    if kind != block["type"] or kind == "tool_use":
                        if kind:
                            yield event("content_block_stop", index=index)
                        kind, index = block["type"], index + 1
                        empty: dict[str, Any] = {"input": {}} if kind == "tool_use" else {kind: ""}
                        yield event("content_block_start", index=index, content_block=block | empty)
                    if isinstance(piece, ToolCall):
                        said = {"type": "input_json_delta", "partial_json": piece.arguments}
                        yield event("content_block_delta", index=index, delta=said)
                    elif piece[1]:
                        yield event("content_block_delta", index=index, delta={"type": f"{kind}_delta", kind: piece[1]})
        yield event("content_block_stop", index=index)
        yield event("message_delta", delta=self._ending(last), usage=self._usage())
        yield event("message_stop")

    @staticmethod
    def _ending(delta: Delta) -> dict[str, Any]:
        if isinstance(delta.stop, str):
            return {"stop_reason": "stop_sequence", "stop_sequence": delta.stop}
        reasons = {"length": "max_tokens", "tool_calls": "tool_use"}
        return {"stop_reason": reasons.get(delta.finish or "", "end_turn"), "stop_sequence": None}

    def _usage(self) -> dict[str, Any]:
        """In Anthropic's form `input_tokens` are those that were not there from earlier requests."""
        drawing = self._drawing
        return {
            "input_tokens": drawing.prompt_tokens - drawing.cached_tokens, "cache_read_input_tokens": drawing.cached_tokens,
            "cache_creation_input_tokens": 0, "output_tokens": drawing.completion_tokens,
        }  # fmt: skip


def event(name: str, **content: Any) -> bytes:
    return event_of({"type": name, **content}, name)
