"""/v1/responses, in OpenAI's form. Nothing is stored: a conversation is sent whole each time."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from pydantic import Field

from cogitate.apps.serve.api.chat import ChatForm, JsonSchema, ResponseFormat, plan_chat
from cogitate.apps.serve.api.forms import LONGEST_CONVERSATION, Form, RefusedError
from cogitate.apps.serve.api.messages_in import AssistantTurn, SystemTurn, Turn, UserTurn
from cogitate.apps.serve.api.respond import PING, event_of
from cogitate.apps.serve.drawing.choice import Delta
from cogitate.apps.serve.drawing.drawing import Drawing
from cogitate.apps.serve.drawing.splitter import Piece
from cogitate.apps.serve.model import Plan, ServedModel


class InputPart(Form):
    type: Literal["input_text", "output_text"]
    text: str
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    logprobs: Annotated[list[Any], Field(max_length=0)] | None = None


class InputMessage(Form):
    type: Literal["message"] | None = None
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[InputPart]
    id: str | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None
    phase: None = None


class InputReasoning(Form):
    """Earlier thinking that a client sends back: it is left out of the prompt, as in the other forms."""

    type: Literal["reasoning"]
    id: str | None = None
    summary: list[Any] | None = None
    content: list[Any] | None = None
    encrypted_content: str | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class Reasoning(Form):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


class TextFormat(JsonSchema):
    type: Literal["text", "json_object", "json_schema"]
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None  # type: ignore[assignment]  # only of json_schema


class Text(Form):
    format: TextFormat | None = None


class ResponsesForm(Form):
    model: str
    input: str | Annotated[list[InputMessage | InputReasoning], Field(max_length=LONGEST_CONVERSATION)]
    instructions: str | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    metadata: dict[str, str] | None = None  # for the client's own books: sent back
    reasoning: Reasoning | None = None
    store: Literal[False] | None = None
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    text: Text | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    user: str | None = None

    def as_chat(self) -> ChatForm:
        """The same as a request of /v1/chat/completions. Raises RefusedError where a schema is missing."""
        turns: list[Turn] = [SystemTurn(role="system", content=self.instructions)] if self.instructions else []
        items = [InputMessage(role="user", content=self.input)] if isinstance(self.input, str) else self.input
        if len(turns) + len(items) > LONGEST_CONVERSATION:
            raise RefusedError(f"{LONGEST_CONVERSATION} messages are allowed, instructions included", parameter="input")
        for item in items:
            if isinstance(item, InputReasoning):
                continue
            text = item.content if isinstance(item.content, str) else "".join(part.text for part in item.content)
            if item.role == "user":
                turns.append(UserTurn(role="user", content=text))
            elif item.role == "assistant":
                turns.append(AssistantTurn(role="assistant", content=text))
            else:
                turns.append(SystemTurn(role="system", content=text))
        form = None if self.text is None else self.text.format
        wanted = None
        if form is not None:
            if form.type == "json_schema" and form.schema_ is None:
                raise RefusedError("format json_schema needs a schema", parameter="text")
            schema = None if form.schema_ is None else JsonSchema.model_validate({"schema": form.schema_})
            wanted = ResponseFormat(type=form.type, json_schema=schema)
        return ChatForm(
            model=self.model, messages=turns, max_completion_tokens=self.max_output_tokens, temperature=self.temperature,
            top_p=self.top_p, reasoning_effort=None if self.reasoning is None else self.reasoning.effort,
            response_format=wanted,
        )  # fmt: skip


def plan_response(form: ResponsesForm, model: ServedModel) -> Plan:
    """How a request is drawn. Raises as plan_chat."""
    return plan_chat(form.as_chat(), model)


KINDS = {"thinking": "reasoning", "answer": "message"}  # of items, by the channel of their text
NOTHING: list[Piece] = [("answer", "")]  # a completion without text is an empty message


class ResponseAnswer:
    """What is said of a drawing: an item for each piece of thinking or text, in their order."""

    def __init__(self, form: ResponsesForm, drawing: Drawing):
        self._form, self._drawing = form, drawing
        self._id, self._created = f"resp_{uuid.uuid4().hex}", int(time.time())
        self._number = -1

    async def whole(self) -> dict[str, Any]:
        (delta,) = await self._drawing.whole()
        pieces = delta.pieces or NOTHING
        output = [
            self._item(KINDS[channel], index, text, self._status(delta) if index == len(pieces) - 1 else "completed")
            for index, (channel, text) in enumerate(pieces)
        ]
        return self._response(self._status(delta), output)

    async def events(self) -> AsyncIterator[bytes]:
        for name in ("response.created", "response.in_progress"):
            yield self._event(name, response=self._response("in_progress", []))
        output: list[dict[str, Any]] = []
        kind, text, last = "", "", Delta()
        async for news in self._drawing.updates():
            if not news:
                yield PING
            for _, delta in news:
                last = delta
                for channel, piece in delta.pieces or (NOTHING if delta.finish and not kind else []):
                    next_kind = KINDS[channel]
                    if next_kind != kind:
                        for event in self._end(kind, text, output, "completed"):
                            yield event
                        kind, text = next_kind, ""
                        for event in self._begin(kind, len(output)):
                            yield event
                    text += piece
                    if not piece:
                        continue
                    name = f"response.{'reasoning_text' if kind == 'reasoning' else 'output_text'}.delta"
                    yield self._event(name, **self._place(kind, len(output)), delta=piece, **self._no_logprobs(kind))
        status = self._status(last)
        for event in self._end(kind, text, output, status):
            yield event
        yield self._event(f"response.{status}", response=self._response(status, output))

    def _begin(self, kind: str, index: int) -> list[bytes]:
        item = {**self._item(kind, index, "", "in_progress"), "content": []}
        return [
            self._event("response.output_item.added", output_index=index, item=item),
            self._event("response.content_part.added", **self._place(kind, index), part=self._part(kind, "")),
        ]

    def _end(self, kind: str, text: str, output: list[dict[str, Any]], status: str) -> list[bytes]:
        """The events that complete an item, which is added to the output."""
        if not kind:
            return []
        index, name = len(output), "reasoning_text" if kind == "reasoning" else "output_text"
        output.append(self._item(kind, index, text, status))
        return [
            self._event(f"response.{name}.done", **self._place(kind, index), text=text, **self._no_logprobs(kind)),
            self._event("response.content_part.done", **self._place(kind, index), part=self._part(kind, text)),
            self._event("response.output_item.done", output_index=index, item=output[-1]),
        ]

    def _event(self, name: str, **content: Any) -> bytes:
        self._number += 1
        return event_of({"type": name, "sequence_number": self._number, **content}, name)

    def _place(self, kind: str, index: int) -> dict[str, Any]:
        return {"item_id": self._item_id(kind, index), "output_index": index, "content_index": 0}

    def _item_id(self, kind: str, index: int) -> str:
        return f"{'rs' if kind == 'reasoning' else 'msg'}_{self._id[5:]}_{index}"

    @staticmethod
    def _no_logprobs(kind: str) -> dict[str, Any]:
        return {"logprobs": []} if kind == "message" else {}

    @staticmethod
    def _part(kind: str, text: str) -> dict[str, Any]:
        if kind == "reasoning":
            return {"type": "reasoning_text", "text": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _item(self, kind: str, index: int, text: str, status: str) -> dict[str, Any]:
        item = {"id": self._item_id(kind, index), "type": kind, "status": status, "content": [self._part(kind, text)]}
        return {**item, "summary": []} if kind == "reasoning" else {**item, "role": "assistant"}

    @staticmethod
    def _status(delta: Delta) -> str:
        return "incomplete" if delta.finish == "length" else "completed"

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        form, drawing = self._form, self._drawing
        ended = status != "in_progress"
        usage = {
            "input_tokens": drawing.prompt_tokens, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": drawing.completion_tokens, "total_tokens": drawing.prompt_tokens + drawing.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": drawing.thinking_tokens},
        }  # fmt: skip
        return {
            "id": self._id, "object": "response", "created_at": self._created, "status": status, "model": form.model,
            "output": output, "usage": usage if ended else None, "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": form.instructions, "max_output_tokens": form.max_output_tokens, "metadata": form.metadata or {},
            "parallel_tool_calls": False, "previous_response_id": None, "temperature": form.temperature, "top_p": form.top_p,
            "tool_choice": "none", "tools": [], "truncation": "disabled", "store": False,
            "reasoning": {"effort": None if form.reasoning is None else form.reasoning.effort, "summary": None},
        }  # fmt: skip
