"""A model's own chat template: a conversation to the token ids the model was trained on.

The template is a jinja program that comes with the model, so it runs in jinja's sandbox. It is given what `transformers` gives
it. A control token in the text of a message, such as `<|im_end|>`, stays text: nobody can end their own turn by typing it. Only
the tags of thinking in what the assistant said are what they were when it said them, in the model's own tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Template, meta
from jinja2.exceptions import TemplateError

from cogitate.errors import CheckpointError
from cogitate.tokenizer.bpe import CONFIG_FILE, Tokenizer, read_settings, token_text
from cogitate.tokenizer.template_sandbox import environment, limited_memory
from cogitate.tokenizer.tools.turns import CallingTurn, Function, ResultTurn, Turn, object_of

FILE = "chat_template.jinja"
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
PRIVATE_USE = range(0xF0000, 0xFFFFE)  # characters without a meaning


class ChatTemplate:
    """Source of a template and the control tokens it may name.

    Attributes:
        source: the jinja program.
    """

    def __init__(self, source: str, where: str, tokens: Mapping[str, str]):
        self.source = source
        self.where = where
        self._tokens = dict(tokens)
        self._template = self._compile(source)

    @classmethod
    def load(cls, directory: Path) -> ChatTemplate | None:
        """The template of a model directory: chat_template.jinja, else that in tokenizer_config.json; None without one.

        Raises:
            CheckpointError: it cannot be read or is no jinja.
        """
        settings = read_settings(directory) or {}
        tokens = {key: text for key in NAMED_TOKENS if (text := token_text(settings.get(key))) is not None}
        path = directory / FILE
        if path.is_file():
            try:
                return cls(path.read_text(encoding="utf-8-sig"), str(path), tokens)
            except (OSError, UnicodeDecodeError) as error:
                raise CheckpointError(f"{path}: cannot be read: {error}") from error
        source = settings.get("chat_template")
        if isinstance(source, list):  # several, by name
            source = next((entry.get("template") for entry in source if entry.get("name") == "default"), None)
        if source is None:
            return None
        where = f"{directory / CONFIG_FILE}: chat_template"
        if not isinstance(source, str):
            raise CheckpointError(f"{where}: must be a text")
        return cls(source, where, tokens)

    def variables(self) -> set[str]:
        """What it reads that is given to it from outside: the names it shares with all templates, and switches of its own."""
        return meta.find_undeclared_variables(environment().parse(self.source))

    def prompt_ids(
        self,
        messages: Sequence[Turn],
        tokenizer: Tokenizer,
        variables: Mapping[str, Any] | None = None,
        *,
        tools: Sequence[Function] = (),
        arguments_as_text: bool = False,
    ) -> list[int]:
        """The conversation so far and the beginning of the assistant's next turn, as token ids.

        Args:
            variables: of the template's own, such as enable_thinking.
            tools: the functions that the assistant may call.
            arguments_as_text: those of calls are JSON text to the template, and not objects.

        Raises:
            CheckpointError: the template fails, or refuses these messages.
        """
        conversation = [as_dict(turn, as_text=arguments_as_text) for turn in messages]
        given = [function.as_given() for function in tools]
        for turn in conversation:
            if turn["role"] == "assistant" and turn["content"]:
                turn["content"] = tokenizer.tags.exchange(turn["content"])
        control = sorted(tokenizer.control_ids, key=len, reverse=True)
        parts = [[turn["content"] or "", turn.get("tool_calls"), turn.get("name")] for turn in conversation]
        shields = shields_for("".join(texts_in([parts, given])), control)
        own = {token: shield for token, shield in shields.items() if token not in tokenizer.tags.thinking}
        shielded = [
            {
                key: value
                if key == "role"
                else replaced(value, own if key == "content" and turn["role"] == "assistant" else shields)
                for key, value in turn.items()
            }
            for turn in conversation
        ]
        text = self._render(shielded, replaced(given, shields), variables=variables)
        shielded_to_text = {shield: token for token, shield in shields.items()}
        ids: list[int] = []
        for piece in re.split(f"({'|'.join(map(re.escape, control))})", text) if control else [text]:
            if piece in tokenizer.control_ids:
                ids.append(tokenizer.control_ids[piece])
            elif piece:
                ids += tokenizer.encode(replace_all(piece, shielded_to_text))
        return ids

    def prompt_text(
        self,
        messages: Sequence[Turn],
        *,
        add_generation_prompt: bool = True,
        variables: Mapping[str, Any] | None = None,
        tools: Sequence[Function] = (),
        arguments_as_text: bool = False,
    ) -> str:
        """The same as text; without the beginning of the assistant's next turn if one asks so. Raises as `prompt_ids`."""
        conversation = [as_dict(turn, as_text=arguments_as_text) for turn in messages]
        given = [function.as_given() for function in tools]
        return self._render(conversation, given, add_generation_prompt=add_generation_prompt, variables=variables)

    def _render(
        self,
        conversation: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        *,
        add_generation_prompt: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        try:
            with limited_memory():
                return self._template.render(
                    messages=conversation,
                    tools=tools or None,
                    documents=None,
                    add_generation_prompt=add_generation_prompt,
                    **{**self._tokens, **(variables or {})},
                )
        except Exception as error:  # a template is a program of the model's author: anything can be raised
            raise CheckpointError(f"{self.where}: the template failed: {str(error) or type(error).__name__}") from error

    def _compile(self, source: str) -> Template:
        try:
            return environment().from_string(source)
        except TemplateError as error:
            raise CheckpointError(f"{self.where}: not a jinja template: {error}") from error


def as_dict(turn: Turn, *, as_text: bool) -> dict[str, Any]:
    """A turn as templates read it; a content that is not there is None."""
    if isinstance(turn, CallingTurn):
        calls = [
            {
                "type": "function",
                "id": call.id,
                "function": {"name": call.name, "arguments": call.arguments if as_text else object_of(call.arguments)},
            }
            for call in turn.calls
        ]
        return {"role": turn.role, "content": turn.content or None, "tool_calls": calls}
    if isinstance(turn, ResultTurn):
        return {"role": turn.role, "content": turn.content, "tool_call_id": turn.call_id, "name": turn.name}
    return {"role": turn.role, "content": turn.content}


def texts_in(value: Any) -> Iterator[str]:
    """All texts of nested lists and dictionaries, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


def replaced(value: Any, replacements: Mapping[str, str]) -> Any:
    """The same with replacements in all texts, keys included."""
    if isinstance(value, str):
        return replace_all(value, replacements)
    if isinstance(value, Mapping):
        return {replace_all(key, replacements): replaced(inner, replacements) for key, inner in value.items()}
    return [replaced(inner, replacements) for inner in value] if isinstance(value, list) else value


def shields_for(text: str, control: Sequence[str]) -> dict[str, str]:
    """For each control token that occurs in the text a character that does not."""
    unused = (chr(code) for code in PRIVATE_USE if chr(code) not in text)
    return {token: next(unused) for token in control if token in text}


def replace_all(text: str, replacements: Mapping[str, str]) -> str:
    """All of them, in their order."""
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text
