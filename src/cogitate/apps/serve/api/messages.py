"""/v1/messages and /v1/messages/count_tokens, in Anthropic's form."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from pydantic import Field

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
from cogitate.apps.serve.api.messages_in import AssistantTurn, SystemTurn, Turn, UserTurn, turns_of
from cogitate.apps.serve.api.respond import event_of
from cogitate.apps.serve.drawing.choice import Delta
from cogitate.apps.serve.drawing.drawing import Drawing
from cogitate.apps.serve.drawing.shaping import Shape
from cogitate.apps.serve.drawing.splitter import Piece
from cogitate.apps.serve.model import Plan, Prompt, ServedModel
from cogitate.types import SamplingParams


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


Block = Annotated[TextBlock | ThinkingBlock | RedactedBlock, Field(discriminator="type")]


class MessageTurn(Form):
    role: Literal["user", "assistant"]
    content: str | list[Block]


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

    def turns(self) -> list[Turn]:
        turns: list[Turn] = []
        if self.system:
            turns.append(SystemTurn(role="system", content=text_of(self.system)))
        for turn in self.messages:
            made = UserTurn if turn.role == "user" else AssistantTurn
            turns.append(made(role=turn.role, content=text_of(turn.content)))  # type: ignore[arg-type]  # role fits its class
        return turns

    @property
    def goes_on(self) -> bool:
        """A conversation that ends with the assistant's turn is gone on with."""
        return self.messages[-1].role == "assistant"

    def prompt(self, model: ServedModel) -> Prompt:
        thinking = None if self.thinking is None or self.thinking.type == "adaptive" else self.thinking.type == "enabled"
        return model.prompt(turns_of(self.turns(), keep_thinking=False), thinking=thinking, goes_on=self.goes_on)


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


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content if isinstance(block, TextBlock))


def plan_message(form: MessageForm, model: ServedModel) -> Plan:
    """How a request is drawn. Raises RefusedError, CheckpointError: it cannot be."""
    budget = form.budget(model)
    prompt = form.prompt(model)
    limit = new_tokens(model, prompt, form.max_tokens, "max_tokens")
    temperature = float(first_given(form.temperature, model.defaults.get("temperature"), 1.0))
    top_p = float(first_given(form.top_p, model.defaults.get("top_p"), 1.0))
    return Plan(
        prompt,
        SamplingParams(temperature, top_p, limit),
        seed_of(None),
        shape=Shape(top_k=first_given(form.top_k, model.defaults.get("top_k"), 0)),
        stops=tuple(form.stop_sequences or ()),
        budget=budget,
    )


class MessageAnswer:
    """What is said of a drawing."""

    def __init__(self, form: MessageForm, drawing: Drawing):
        self._drawing = drawing
        self._head = {"id": f"msg_{uuid.uuid4().hex}", "type": "message", "role": "assistant", "model": form.model}

    async def whole(self) -> dict[str, Any]:
        (delta,) = await self._drawing.whole()
        content = [
            {"type": "thinking", "thinking": text, "signature": ""} if channel == "thinking" else {"type": "text", "text": text}
            for channel, text in delta.pieces or [("answer", "")]
        ]
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
                pieces: list[Piece] = delta.pieces or ([("answer", "")] if delta.finish and not kind else [])
                for channel, text in pieces:
                    block = "thinking" if channel == "thinking" else "text"
                    if kind != block:
                        if kind:
                            yield event("content_block_stop", index=index)
                        kind, index = block, index + 1
                        empty = {"type": block, block: "", **({"signature": ""} if block == "thinking" else {})}
                        yield event("content_block_start", index=index, content_block=empty)
                    if text:
                        yield event("content_block_delta", index=index, delta={"type": f"{block}_delta", block: text})
        yield event("content_block_stop", index=index)
        yield event("message_delta", delta=self._ending(last), usage=self._usage())
        yield event("message_stop")

    @staticmethod
    def _ending(delta: Delta) -> dict[str, Any]:
        if isinstance(delta.stop, str):
            return {"stop_reason": "stop_sequence", "stop_sequence": delta.stop}
        return {"stop_reason": "max_tokens" if delta.finish == "length" else "end_turn", "stop_sequence": None}

    def _usage(self) -> dict[str, Any]:
        return {"input_tokens": self._drawing.prompt_tokens, "output_tokens": self._drawing.completion_tokens}


def event(name: str, **content: Any) -> bytes:
    return event_of({"type": name, **content}, name)
