"""A model's own chat template: a conversation to the token ids the model was trained on.

The template is a jinja program that comes with the model, so it runs in jinja's sandbox. It is given what `transformers` gives
it. A control token in the text of a message, such as `<|im_end|>`, stays text: nobody can end their own turn by typing it. Only
the tags of thinking in what the assistant said are what they were when it said them.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cogitate.errors import CheckpointError
from cogitate.tokenizer.bpe import CONFIG_FILE, Tokenizer, read_settings, token_text
from cogitate.tokenizer.thinking import THINK_CLOSE, THINK_OPEN
from cogitate.types import Message

FILE = "chat_template.jinja"
NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
PRIVATE_USE = range(0xF0000, 0xFFFFE)  # characters without a meaning
LONGEST_PRODUCT = 100_000
LARGEST_EXPONENT = 64


class ChatTemplate:
    """Source of a template and the control tokens it may name."""

    def __init__(self, source: str, where: str, tokens: Mapping[str, str]):
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

    def prompt_ids(self, messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
        """The conversation so far and the beginning of the assistant's next turn, as token ids.

        Raises:
            CheckpointError: the template fails, or refuses these messages.
        """
        control = sorted(tokenizer.control_ids, key=len, reverse=True)
        shields = shields_for("".join(message.content for message in messages), control)
        own = {token: shield for token, shield in shields.items() if token not in (THINK_OPEN, THINK_CLOSE)}
        shielded = [
            Message(message.role, replace_all(message.content, own if message.role == "assistant" else shields))
            for message in messages
        ]
        text = self.prompt_text(shielded)
        shielded_to_text = {shield: token for token, shield in shields.items()}
        ids: list[int] = []
        for piece in re.split(f"({'|'.join(map(re.escape, control))})", text) if control else [text]:
            if piece in tokenizer.control_ids:
                ids.append(tokenizer.control_ids[piece])
            elif piece:
                ids += tokenizer.encode(replace_all(piece, shielded_to_text))
        return ids

    def prompt_text(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """The same as text; without the beginning of the assistant's next turn if one asks so. Raises as `prompt_ids`."""
        conversation = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render(
                messages=conversation,
                tools=None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._tokens,
            )
        except Exception as error:  # a template is a program of the model's author: anything can be raised
            raise CheckpointError(f"{self.where}: the template failed: {error or type(error).__name__}") from error

    def _compile(self, source: str) -> Any:
        try:
            return environment().from_string(source)
        except TemplateError as error:
            raise CheckpointError(f"{self.where}: not a jinja template: {error}") from error


def shields_for(text: str, control: Sequence[str]) -> dict[str, str]:
    """For each control token that occurs in the text a character that does not."""
    unused = (chr(code) for code in PRIVATE_USE if chr(code) not in text)
    return {token: next(unused) for token in control if token in text}


def replace_all(text: str, replacements: Mapping[str, str]) -> str:
    """All of them, in their order."""
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


class Sandbox(ImmutableSandboxedEnvironment):
    """jinja's sandbox, and no products or powers that would fill the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and not abs(right) <= LARGEST_EXPONENT:
            raise SecurityError(f"a power with the exponent {right}")
        for one, other in ((left, right), (right, left)):
            if operator == "*" and hasattr(one, "__len__") and len(one) * other > LONGEST_PRODUCT:
                raise SecurityError(f"a text or list repeated {other} times")
        return super().call_binop(context, operator, left, right)


class GenerationBlock(Extension):
    """`{% generation %} ... {% endgeneration %}` marks what an assistant said, for training; here it shows its content."""

    tags = {"generation"}  # noqa: RUF012 - as jinja declares it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment() -> Sandbox:
    """What `transformers` gives to templates."""
    made = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols])
    functions: dict[str, Callable[..., Any]] = {"raise_exception": refuse, "strftime_now": strftime_now}
    made.globals.update(functions)
    made.filters["tojson"] = to_json
    return made


def refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


def to_json(value: Any, indent: int | None = None, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, **options)
