"""/v1/responses, in OpenAI's form. Nothing is stored: a conversation is sent whole each time."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import Any, Literal

from cogitate.apps.serve.api.chat import plan_chat
from cogitate.apps.serve.api.respond import PING, event_of
from cogitate.apps.serve.api.responses_in import ResponseChoice, ResponsesForm
from cogitate.apps.serve.drawing.choice import Delta, Piece
from cogitate.apps.serve.drawing.drawing import Drawing
from cogitate.apps.serve.drawing.splitter import Text
from cogitate.apps.serve.model import Plan, ServedModel
from cogitate.tokenizer.tools.turns import ToolCall

Kind = Literal["reasoning", "message", "function_call"]
NAMES: dict[Kind, str] = {"reasoning": "reasoning_text", "message": "output_text", "function_call": "function_call_arguments"}
NOTHING: list[Piece] = [("answer", "")]  # a completion without text is an empty message


def plan_response(form: ResponsesForm, model: ServedModel) -> Plan:
    """How a request is drawn. Raises as plan_chat."""
    return plan_chat(form.as_chat(), model)


def kind_of(piece: Piece) -> Kind:
    if isinstance(piece, ToolCall):
        return "function_call"
    return "reasoning" if piece[0] == "thinking" else "message"


class ResponseAnswer:
    """What is said of a drawing: an item for each piece of thinking or text and for each call, in their order."""

    def __init__(self, form: ResponsesForm, drawing: Drawing):
        self._form, self._drawing = form, drawing
        self._id, self._created = f"resp_{uuid.uuid4().hex}", int(time.time())
        self._number = -1

    async def whole(self) -> dict[str, Any]:
        (delta,) = await self._drawing.whole()
        pieces = delta.pieces or NOTHING
        output = [
            self._item(piece, index, self._status(delta) if index == len(pieces) - 1 else "completed")
            for index, piece in enumerate(pieces)
        ]
        return self._response(self._status(delta), output)

    async def events(self) -> AsyncIterator[bytes]:
        for name in ("response.created", "response.in_progress"):
            yield self._event(name, response=self._response("in_progress", []))
        output: list[dict[str, Any]] = []
        open_piece: Piece | None = None  # the item that goes on
        last = Delta()
        async for news in self._drawing.updates():
            if not news:
                yield PING
            for _, delta in news:
                last = delta
                for piece in delta.pieces or (NOTHING if delta.finish and open_piece is None else []):
                    if open_piece is None or isinstance(piece, ToolCall) or kind_of(piece) != kind_of(open_piece):
                        for event in self._end(open_piece, output, "completed"):
                            yield event
                        for event in self._begin(piece, len(output)):
                            yield event
                        open_piece = piece
                    elif not isinstance(open_piece, ToolCall):
                        open_piece = open_piece[0], open_piece[1] + piece[1]
                    if said := text_in(piece):
                        name = f"response.{NAMES[kind_of(piece)]}.delta"
                        yield self._event(name, **self._place(piece, len(output)), delta=said, **self._no_logprobs(piece))
        status = self._status(last)
        for event in self._end(open_piece, output, status):
            yield event
        yield self._event(f"response.{status}", response=self._response(status, output))

    def _begin(self, piece: Piece, index: int) -> list[bytes]:
        if isinstance(piece, ToolCall):
            item = {**self._item(piece, index, "in_progress"), "arguments": ""}
            return [self._event("response.output_item.added", output_index=index, item=item)]
        item = {**self._item(piece, index, "in_progress"), "content": []}
        return [
            self._event("response.output_item.added", output_index=index, item=item),
            self._event("response.content_part.added", **self._place(piece, index), part=self._part((piece[0], ""))),
        ]

    def _end(self, piece: Piece | None, output: list[dict[str, Any]], status: str) -> list[bytes]:
        """The events that complete an item, which is added to the output."""
        if piece is None:
            return []
        index, done = len(output), f"response.{NAMES[kind_of(piece)]}.done"
        output.append(self._item(piece, index, status))
        if isinstance(piece, ToolCall):
            events = [self._event(done, **self._place(piece, index), name=piece.name, arguments=piece.arguments)]
        else:
            events = [
                self._event(done, **self._place(piece, index), text=piece[1], **self._no_logprobs(piece)),
                self._event("response.content_part.done", **self._place(piece, index), part=self._part(piece)),
            ]
        return [*events, self._event("response.output_item.done", output_index=index, item=output[-1])]

    def _event(self, kind: str, /, **content: Any) -> bytes:
        self._number += 1
        return event_of({"type": kind, "sequence_number": self._number, **content}, kind)

    def _place(self, piece: Piece, index: int) -> dict[str, Any]:
        part = {} if isinstance(piece, ToolCall) else {"content_index": 0}
        return {"item_id": self._item_id(piece, index), "output_index": index, **part}

    def _item_id(self, piece: Piece, index: int) -> str:
        prefix = {"reasoning": "rs", "message": "msg", "function_call": "fc"}[kind_of(piece)]
        return f"{prefix}_{self._id[5:]}_{index}"

    @staticmethod
    def _no_logprobs(piece: Piece) -> dict[str, Any]:
        return {"logprobs": []} if kind_of(piece) == "message" else {}

    @staticmethod
    def _part(piece: Text) -> dict[str, Any]:
        channel, text = piece
        if channel == "thinking":
            return {"type": "reasoning_text", "text": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _item(self, piece: Piece, index: int, status: str) -> dict[str, Any]:
        item = {"id": self._item_id(piece, index), "type": kind_of(piece), "status": status}
        if isinstance(piece, ToolCall):
            return {**item, "call_id": piece.id, "name": piece.name, "arguments": piece.arguments}
        own: dict[str, Any] = {"summary": []} if kind_of(piece) == "reasoning" else {"role": "assistant"}
        return {**item, "content": [self._part(piece)], **own}

    @staticmethod
    def _status(delta: Delta) -> str:
        return "incomplete" if delta.finish == "length" else "completed"

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        form, drawing = self._form, self._drawing
        ended = status != "in_progress"
        usage = {
            "input_tokens": drawing.prompt_tokens, "input_tokens_details": {"cached_tokens": drawing.cached_tokens},
            "output_tokens": drawing.completion_tokens, "total_tokens": drawing.prompt_tokens + drawing.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": drawing.thinking_tokens},
        }  # fmt: skip
        tools = [
            tool.model_dump() | {"parameters": tool.parameters or {}, "strict": bool(tool.strict)} for tool in form.tools or ()
        ]
        choice = form.tool_choice.model_dump() if isinstance(form.tool_choice, ResponseChoice) else form.tool_choice or "auto"
        return {
            "id": self._id, "object": "response", "created_at": self._created, "status": status, "model": form.model,
            "output": output, "usage": usage if ended else None, "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": form.instructions, "max_output_tokens": form.max_output_tokens, "metadata": form.metadata or {},
            "parallel_tool_calls": form.parallel_tool_calls is not False, "previous_response_id": None,
            "temperature": form.temperature, "top_p": form.top_p, "tool_choice": choice, "tools": tools,
            "truncation": "disabled", "store": False,
            "reasoning": {"effort": None if form.reasoning is None else form.reasoning.effort, "summary": None},
        }  # fmt: skip


def text_in(piece: Piece) -> str:
    return piece.arguments if isinstance(piece, ToolCall) else piece[1]
