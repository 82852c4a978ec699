"""/tokenize and /detokenize, as vLLM has them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cogitate.apps.serve.api.chat import TemplateVariables
from cogitate.apps.serve.api.completions import prompt_of
from cogitate.apps.serve.api.forms import LONGEST_CONVERSATION, Form, RefusedError, token_of
from cogitate.apps.serve.api.messages_in import Turn, turns_of
from cogitate.apps.serve.api.tools_in import Tools, calls_of
from cogitate.apps.serve.model import ServedModel

MOST_TOKENS = 1 << 20


class TokenizeForm(Form):
    """A text, or a conversation as a chat template makes it."""

    model: str
    prompt: str | None = None
    messages: Annotated[list[Turn], Field(max_length=LONGEST_CONVERSATION)] | None = None
    chat_template_kwargs: TemplateVariables | None = None
    tools: Tools | None = None


class DetokenizeForm(Form):
    model: str
    tokens: Annotated[list[int], Field(max_length=MOST_TOKENS)]


def tokenize(form: TokenizeForm, model: ServedModel) -> dict[str, Any]:
    """Raises RefusedError, CheckpointError: there is not one of text and conversation, or it cannot be read."""
    if (form.prompt is None) == (form.messages is None):
        raise RefusedError("give one of prompt and messages", parameter="prompt")
    if form.messages is None:
        if form.chat_template_kwargs is not None:
            raise RefusedError("has no effect without messages", parameter="chat_template_kwargs")
        if form.tools is not None:
            raise RefusedError("has no effect without messages", parameter="tools")
        ids = prompt_of(form.prompt or "", model)
    else:
        variables = form.chat_template_kwargs or TemplateVariables()
        turns = turns_of(form.messages, keep_thinking=bool(variables.keep_thinking))
        if len(variables.said) > 1:
            raise RefusedError("enable_thinking and thinking contradict each other", parameter="chat_template_kwargs")
        thinking = next(iter(variables.said), None)
        variables.check(model, form.messages, thinking)
        calls = calls_of(form.tools, None, parallel=None)
        ids = [*model.prompt(turns, thinking=thinking, opens=calls.ruled, functions=calls.functions).ids]
    return {"tokens": ids, "count": len(ids), "max_model_len": model.max_context}


def detokenize(form: DetokenizeForm, model: ServedModel) -> dict[str, Any]:
    """Raises RefusedError for a token that is none of the model's."""
    ids = [token_of(token, model, "tokens") for token in form.tokens]
    return {"prompt": b"".join(model.texts[token] for token in ids).decode("utf-8", "replace")}
