"""/v1/completions: a text goes on. Nothing is split: thinking and its tags are part of the text."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field

from cogitate.apps.serve.api.chat import fingerprint_of, logprob_of, usage_of
from cogitate.apps.serve.api.forms import RefusedError, Sampling, check_unicode, new_tokens, seed_of, token_of
from cogitate.apps.serve.api.respond import DONE, PING, event_of
from cogitate.apps.serve.drawing.choice import Delta
from cogitate.apps.serve.drawing.drawing import Drawing
from cogitate.apps.serve.model import Plan, Prompt, ServedModel
from cogitate.types import SamplingParams

DEFAULT_TOKENS = 16  # as OpenAI's API


class CompletionForm(Sampling):
    """`prompt`: a text, or its token ids."""

    prompt: str | Annotated[list[int], Field(min_length=1)]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None


def plan_completion(form: CompletionForm, model: ServedModel) -> Plan:
    """How a request is drawn. Raises RefusedError: it cannot be."""
    _ = form.usage_at_end  # refused before anything is drawn
    prompt = Prompt(tuple(prompt_of(form.prompt, model)))
    temperature, top_p = form.drawn_at(model)
    parameter = "prompt" if form.max_tokens is None else "max_tokens"
    limit = new_tokens(model, prompt, form.max_tokens, parameter, default=DEFAULT_TOKENS)
    return Plan(
        prompt,
        SamplingParams(temperature, top_p, limit),
        seed_of(form.seed),
        n=form.n or 1,
        shape=form.shape(model),
        stops=form.stops,
        stop_ids=form.stop_ids(model),
        split=False,
        top_logprobs=form.logprobs,
    )


def prompt_of(prompt: str | list[int], model: ServedModel) -> list[int]:
    """Token ids. Raises RefusedError: the text is not Unicode or empty, or a token is none of the model's."""
    if isinstance(prompt, list):
        return [token_of(token, model, "prompt") for token in prompt]
    check_unicode(prompt, "prompt")
    ids = model.tokenizer.encode_prompt(prompt)
    if not ids:
        raise RefusedError("empty: give at least one character", parameter="prompt")
    return ids


class CompletionAnswer:
    """What is said of a drawing."""

    def __init__(self, form: CompletionForm, model: ServedModel, drawing: Drawing):
        self._model, self._drawing = model, drawing
        self._usage_at_end, self._usage_in_chunks = form.usage_at_end, form.usage_in_chunks
        self._says_usage = self._usage_at_end or self._usage_in_chunks
        self._logprobs = form.logprobs is not None
        self._offsets = [0] * len(drawing.choices)
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time()), "model": form.model,
            "system_fingerprint": fingerprint_of(model),
        }  # fmt: skip

    async def whole(self) -> dict[str, Any]:
        choices = [self._choice(index, delta) for index, delta in enumerate(await self._drawing.whole())]
        return {**self._head, "choices": choices, "usage": usage_of(self._drawing)}

    async def events(self) -> AsyncIterator[bytes]:
        async for news in self._drawing.updates():
            if not news:
                yield PING
            for index, delta in news:
                if delta.says_something:
                    usage = {"usage": usage_of(self._drawing) if self._usage_in_chunks else None} if self._says_usage else {}
                    yield event_of({**self._head, "choices": [self._choice(index, delta)], **usage})
        if self._usage_at_end:
            yield event_of({**self._head, "choices": [], "usage": usage_of(self._drawing)})
        yield DONE

    def _choice(self, index: int, delta: Delta) -> dict[str, Any]:
        return {
            "index": index, "text": delta.answer, "logprobs": self._logprobs_of(index, delta),
            "finish_reason": delta.finish, "stop_reason": delta.stop,
        }  # fmt: skip

    def _logprobs_of(self, index: int, delta: Delta) -> dict[str, Any] | None:
        if not self._logprobs:
            return None
        notes = [logprob_of(note, self._model) for note in delta.logprobs]
        offsets = []
        for note in notes:
            offsets.append(self._offsets[index])
            self._offsets[index] += len(note["token"])
        return {
            "tokens": [note["token"] for note in notes],
            "token_logprobs": [note["logprob"] for note in notes],
            "top_logprobs": [{top["token"]: top["logprob"] for top in note["top_logprobs"]} for note in notes],
            "text_offset": offsets,
        }
