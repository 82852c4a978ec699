"""Prompts as token ids: texts and conversations, put to a model in one of four ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cogitate.config.prompts import QUESTION
from cogitate.errors import DataError
from cogitate.json_lines import shown
from cogitate.tasks.files.messages import read_messages
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.prompts import NEXT_QUESTION, R1_ZERO_TEMPLATE, bare_prompt, turns_as_text
from cogitate.types import Message

Template = Literal["chat", "r1_zero", "bare", "raw"]
Prompt = str | Sequence[Mapping[str, Any] | Message]
Conversation = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """How a conversation becomes a prompt.

    Attributes:
        ids: conversation -> token ids.
        stop: text at which a completion ends; None: at an end token alone.
    """

    ids: Callable[[Conversation], list[int]]
    stop: str | None = None


def ask_for(directory: Path, tokenizer: Tokenizer, template: Template | None) -> Ask:
    """The way that a template names; None is the model's own chat template where it has one, else R1-Zero's.

    Raises:
        DataError: no such template, or the model has none of its own.
    """
    if template is not None and template not in get_args(Template):
        raise DataError(f"template = {template!r}: must be one of {', '.join(get_args(Template))}")
    own = ChatTemplate.load(directory) if template in (None, "chat") else None
    if own is not None:
        return Ask(lambda turns: own.prompt_ids(turns, tokenizer))
    if template == "chat":
        raise DataError(f"{directory}: the model has no chat template; use template r1_zero, bare or raw")
    if template == "raw":
        return Ask(lambda turns: tokenizer.encode_prompt(only_text(turns)))
    if template == "bare":
        return Ask(lambda turns: tokenizer.encode_prompt(bare_prompt(turns_as_text(turns))), NEXT_QUESTION)
    zero = tokenizer.tags.exchange(R1_ZERO_TEMPLATE)  # in the model's own tags
    return Ask(lambda turns: tokenizer.encode_prompt(zero.replace(QUESTION, turns_as_text(turns))))


def only_text(turns: Conversation) -> str:
    """The one turn of a conversation."""
    if len(turns) > 1:
        raise DataError("template raw: takes texts, not conversations of several messages")
    return turns[0].content


def conversations(prompts: Prompt | Sequence[Prompt]) -> list[Conversation]:
    """Each prompt as turns that end with the user's.

    Raises:
        DataError: there is none, or one is empty, is no valid Unicode or no conversation: names it by its index from 0.
    """
    single = isinstance(prompts, str) or (bool(prompts) and isinstance(prompts[0], Mapping | Message))
    each: Sequence[Any] = [prompts] if single else prompts
    if not each:
        raise DataError("prompts: there is none; give a text, or a list of texts")
    return [conversation(prompt, f"prompts[{index}]") for index, prompt in enumerate(each)]


def conversation(prompt: Any, place: str) -> Conversation:
    """One prompt as turns."""
    if isinstance(prompt, str):
        turns: Conversation = (Message("user", prompt),)
    elif isinstance(prompt, Sequence):
        rows = [{"role": turn.role, "content": turn.content} if isinstance(turn, Message) else turn for turn in prompt]
        turns = read_messages(rows, place)
    else:
        raise DataError(f"{place}: must be a text or a list of messages, got {shown(prompt)}")
    if turns[-1].role != "user":
        raise DataError(f"{place}: must end with the user's message: it is what is asked")
    if not turns[-1].content.strip():
        raise DataError(f"{place}: is empty")
    try:
        "".join(turn.content for turn in turns).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: holds half of a character (a lone surrogate)") from error
    return turns
