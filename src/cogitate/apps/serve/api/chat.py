"""/v1/chat/completions, in OpenAI's form, with thinking under the names that clients of vLLM and of DeepSeek read."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from cogitate.apps.serve.api.forms import (
    LONGEST_CONVERSATION,
    Form,
    RefusedError,
    Sampling,
    first_given,
    new_tokens,
    seed_of,
)
from cogitate.apps.serve.api.messages_in import AssistantTurn, Turn, turns_of
from cogitate.apps.serve.api.respond import DONE, PING, event_of
from cogitate.apps.serve.api.tools_in import ToolChoice, Tools, calls_of
from cogitate.apps.serve.drawing.choice import Delta
from cogitate.apps.serve.drawing.drawing import Drawing
from cogitate.apps.serve.drawing.grammar import SchemaError
from cogitate.apps.serve.drawing.shaping import Grammar, TokenLogprob
from cogitate.apps.serve.model import Plan, Prompt, ServedModel
from cogitate.tokenizer.tools.turns import CallingTurn, ToolCall
from cogitate.types import SamplingParams

EFFORTS = {"minimal": 128, "low": 512, "medium": 2048, "high": None, "xhigh": None, "max": None}
"""reasoning_effort as thinking tokens, at most; None: as many as it likes. "none" is no thinking at all."""

Names = tuple[str, ...]
BOTH_NAMES: Names = ("reasoning_content", "reasoning")


class TemplateVariables(Form):
    """enable_thinking, thinking: two names of one switch, whichever the template reads."""

    enable_thinking: bool | None = None
    thinking: bool | None = None
    keep_thinking: bool | None = None

    @property
    def said(self) -> set[bool]:
        return {value for value in (self.enable_thinking, self.thinking) if value is not None}

    def check(self, model: ServedModel, turns: list[Turn], thinking: bool | None, *, goes_on: bool = False) -> None:
        """Raises RefusedError where one has no effect.

        Args:
            thinking: whether the model is told to think.
        """
        if thinking and self.said and not (model.thinks or model.switches):
            raise RefusedError("has no effect: this model does not think", parameter="chat_template_kwargs")
        if not self.keep_thinking or not any(isinstance(turn, AssistantTurn) and turn.thinking for turn in turns):
            return
        others: list[Turn] = [
            turn.model_copy(update={"reasoning_content": f"{turn.thinking}.", "reasoning": None})
            if isinstance(turn, AssistantTurn) and turn.thinking
            else turn
            for turn in turns
        ]
        one, other = (
            model.prompt(turns_of(each, keep_thinking=True), thinking=thinking, goes_on=goes_on) for each in (turns, others)
        )
        if one == other:
            raise RefusedError(
                "keep_thinking has no effect: this model's template leaves earlier thinking out",
                parameter="chat_template_kwargs",
            )


class JsonSchema(Form):
    name: str | None = None
    description: str | None = None
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    strict: bool | None = None  # it is followed in any case


class ResponseFormat(Form):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    def schema_of_answer(self) -> dict[str, Any] | None:
        """Raises RefusedError where type and schema do not fit each other."""
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise RefusedError("type json_schema and a json_schema go together", parameter="response_format")
        if self.json_schema is not None:
            return self.json_schema.schema_
        return {"type": "object"} if self.type == "json_object" else None


class ChatForm(Sampling):
    messages: Annotated[list[Turn], Field(max_length=LONGEST_CONVERSATION)]
    add_generation_prompt: bool | None = None
    chat_template_kwargs: TemplateVariables | None = None
    continue_final_message: bool | None = None
    include_reasoning: bool | None = None
    logprobs: bool | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: ResponseFormat | None = None
    thinking_token_budget: Annotated[int, Field(ge=-1)] | None = None
    tool_choice: ToolChoice | None = None
    tools: Tools | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    @property
    def enable_thinking(self) -> bool | None:
        """What the template is told; raises RefusedError where the request contradicts itself."""
        said = (self.chat_template_kwargs or TemplateVariables()).said
        if self.reasoning_effort is not None:
            said.add(self.reasoning_effort != "none")
        if len(said) > 1:
            raise RefusedError(
                "enable_thinking, thinking and reasoning_effort contradict each other", parameter="reasoning_effort"
            )
        return next(iter(said), None)

    def budget(self, model: ServedModel) -> int | None:
        """Thinking tokens, at most."""
        if self.thinking_token_budget is not None:
            if not model.thinks and self.thinking_token_budget >= 0:
                raise RefusedError("has no effect: this model does not think", parameter="thinking_token_budget")
            return None if self.thinking_token_budget < 0 else self.thinking_token_budget
        if self.reasoning_effort not in (None, "none") and not model.thinks:
            raise RefusedError("has no effect: this model does not think", parameter="reasoning_effort")
        return EFFORTS.get(self.reasoning_effort or "")


def plan_chat(form: ChatForm, model: ServedModel) -> Plan:
    """How a request is drawn. Takes as long as its template and its text.

    Raises:
        RefusedError, CheckpointError: it cannot be.
    """
    if form.top_logprobs is not None and not form.logprobs:
        raise RefusedError("has no effect without logprobs = true", parameter="top_logprobs")
    if form.max_tokens is not None and form.max_completion_tokens not in (None, form.max_tokens):
        raise RefusedError("contradicts max_completion_tokens: give one of them", parameter="max_tokens")
    _ = form.usage_at_end  # refused before anything is drawn
    variables = form.chat_template_kwargs or TemplateVariables()
    turns = turns_of(form.messages, keep_thinking=bool(variables.keep_thinking))
    if form.continue_final_message and (turns[-1].role != "assistant" or isinstance(turns[-1], CallingTurn)):
        raise RefusedError("the last message must be the assistant's, without calls", parameter="continue_final_message")
    if form.add_generation_prompt not in (None, not form.continue_final_message):
        raise RefusedError("must be the opposite of continue_final_message", parameter="add_generation_prompt")
    schema = None if form.response_format is None else form.response_format.schema_of_answer()
    calls = calls_of(form.tools, form.tool_choice, parallel=form.parallel_tool_calls)
    if schema is not None and calls.functions:
        raise RefusedError("not together with tools that may be called", parameter="response_format")
    if calls.ruled and (form.ignore_eos or form.min_tokens or form.continue_final_message):
        parameter = "tool_choice" if calls.required else "tools"
        raise RefusedError("not together with ignore_eos, min_tokens or continue_final_message", parameter=parameter)
    if schema is not None and (form.ignore_eos or form.min_tokens or form.continue_final_message):
        raise RefusedError("not together with ignore_eos, min_tokens or continue_final_message", parameter="response_format")
    thinking, goes_on = form.enable_thinking, bool(form.continue_final_message)
    variables.check(model, form.messages, thinking, goes_on=goes_on)
    ruled = schema is not None or calls.ruled
    prompt = model.prompt(turns, thinking=thinking, goes_on=goes_on, opens=ruled, functions=calls.functions)
    temperature, top_p = form.drawn_at(model)
    asked = first_given(form.max_completion_tokens, form.max_tokens)
    limit = new_tokens(model, prompt, asked, "max_completion_tokens")
    return Plan(
        prompt,
        SamplingParams(temperature, top_p, limit),
        seed_of(form.seed),
        n=form.n or 1,
        shape=form.shape(model),
        stops=form.stops,
        stop_ids=form.stop_ids(model),
        thinks=not ruled or model.opened(prompt),
        budget=form.budget(model),
        top_logprobs=(form.top_logprobs or 0) if form.logprobs else None,
        grammar=calls.grammar(model, prompt) if schema is None else grammar_of(schema, model, prompt),
        calls=calls.most,
        functions=calls.names,
    )


def grammar_of(schema: dict[str, Any], model: ServedModel, prompt: Prompt) -> Callable[[], Grammar]:
    """Raises RefusedError: the schema cannot be followed."""
    try:
        return model.grammars.of_schema(schema, thinks=model.opened(prompt))
    except SchemaError as error:
        raise RefusedError(str(error), parameter="response_format") from error


class ChatAnswer:
    """What is said of a drawing.

    Args:
        names: under which thinking is sent; none: it is left out.
    """

    def __init__(self, form: ChatForm, model: ServedModel, drawing: Drawing, names: Names):
        self._model, self._drawing = model, drawing
        self._names = () if form.include_reasoning is False else names
        self._usage_at_end, self._usage_in_chunks = form.usage_at_end, form.usage_in_chunks
        self._logprobs = bool(form.logprobs)
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": form.model}
        self._fingerprint = fingerprint_of(model)

    async def whole(self) -> dict[str, Any]:
        choices = [self._choice(index, delta) for index, delta in enumerate(await self._drawing.whole())]
        return {
            **self._head, "object": "chat.completion", "choices": choices, "usage": usage_of(self._drawing),
            "system_fingerprint": self._fingerprint,
        }  # fmt: skip

    async def events(self) -> AsyncIterator[bytes]:
        role = {"role": "assistant", "content": ""}
        for index in range(len(self._drawing.choices)):
            yield self._chunk(index, role, None)
        numbers = [0] * len(self._drawing.choices)  # of the next call of each
        async for news in self._drawing.updates():
            if not news:
                yield PING
            for index, delta in news:
                said: dict[str, Any] = dict.fromkeys(self._names, delta.thinking) if delta.thinking else {}
                if delta.answer:
                    said["content"] = delta.answer
                if delta.calls:
                    first = numbers[index]
                    said["tool_calls"] = [{"index": first + at} | given_call(call) for at, call in enumerate(delta.calls)]
                    numbers[index] += len(delta.calls)
                if said or delta.finish or (self._logprobs and delta.logprobs):
                    yield self._chunk(index, said, delta)
        if self._usage_at_end:
            yield event_of({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage_of(self._drawing)})
        yield DONE

    def _choice(self, index: int, delta: Delta) -> dict[str, Any]:
        content = delta.answer or (None if delta.calls else "")
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        message |= dict.fromkeys(self._names, delta.thinking or None)
        if delta.calls:
            message["tool_calls"] = [given_call(call) for call in delta.calls]
        return {
            "index": index, "message": message, "logprobs": self._logprobs_of(delta), "finish_reason": delta.finish,
            "stop_reason": delta.stop,
        }  # fmt: skip

    def _chunk(self, index: int, said: dict[str, Any], delta: Delta | None) -> bytes:
        choice: dict[str, Any] = {
            "index": index, "delta": said, "logprobs": None if delta is None else self._logprobs_of(delta),
            "finish_reason": None if delta is None else delta.finish,
        }  # fmt: skip
        content: dict[str, Any] = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        if self._usage_at_end or self._usage_in_chunks:
            content["usage"] = usage_of(self._drawing) if self._usage_in_chunks else None
        if delta is not None and delta.finish is not None:
            choice["stop_reason"] = delta.stop
            content["system_fingerprint"] = self._fingerprint
        return event_of(content)

    def _logprobs_of(self, delta: Delta) -> dict[str, Any] | None:
        if not self._logprobs:
            return None
        return {"content": [logprob_of(note, self._model) for note in delta.logprobs], "refusal": None}


def given_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def logprob_of(note: TokenLogprob, model: ServedModel) -> dict[str, Any]:
    """A token of thinking or answer in OpenAI's form."""

    def entry(token: int, logprob: float) -> dict[str, Any]:
        data = model.texts[token]
        text = data.decode("utf-8", "replace") or (model.tokenizer.inner.id_to_token(token) or "")
        return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(data)}

    return {**entry(note.token, note.logprob), "top_logprobs": [entry(token, value) for token, value in note.top]}


def usage_of(drawing: Drawing) -> dict[str, Any]:
    return {
        "prompt_tokens": drawing.prompt_tokens,
        "completion_tokens": drawing.completion_tokens,
        "total_tokens": drawing.prompt_tokens + drawing.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": drawing.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": drawing.thinking_tokens},
    }


def fingerprint_of(model: ServedModel) -> str:
    """Changes with the weights."""
    return f"cogitate-{model.created}-{model.version}"
