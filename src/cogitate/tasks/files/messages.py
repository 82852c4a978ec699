"""Turns of a conversation as they are published: OpenAI's and TRL's messages (role, content), ShareGPT's (from, value).

| field of a message | becomes |
|---|---|
| `reasoning_content`, `reasoning`, `thinking` | the thinking, in its tags before the content |
| `content` as a list of parts | the texts of its parts, one after the other; parts of type `thinking` are the thinking |
| `weight` 0 or 1, `train`, `training`, `loss` true or false | whether the assistant's turn is learnt |

Tools, images and sound are refused, as is any field whose name says that it holds more of what was said: nothing that a model
should have read or learnt may vanish. Other fields (a name, an id, a date) mean nothing to a model and are not read;
`unread_fields` names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from cogitate.errors import DataError
from cogitate.json_lines import shown
from cogitate.tokenizer.thinking import THINK_CLOSE, THINK_OPEN, begins_inside_thinking, join_thinking, split_thinking
from cogitate.types import Message

Role = Literal["system", "user", "assistant"]

ROLES: dict[str, Role] = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
    "model": "assistant",
}  # fmt: skip
TOOL_ROLES = ("tool", "function", "function_call", "tool_call", "observation", "function_response", "tool_response", "ipython")
THINKING = ("reasoning_content", "reasoning", "thinking")
LEARNT = ("weight", "train", "training", "loss")
CONVERSATIONS = ("messages", "conversations", "conversation")  # keys of a row, as are the next two
SYSTEM = ("system", "system_prompt")
MEDIA = ("images", "image", "videos", "audios", "audio")
UNSUPPORTED = ("tools", "functions", *MEDIA, "chat_template_kwargs")
READ = ("role", "from", "content", "value", *THINKING, *LEARNT)
SAID = re.compile(  # names of fields that hold more of what was said, or say what is to be learnt of it
    r"reason(?!$)|think|thought|rationale|scratch|(?:^|_)cot(?:_|$)|tool|function|(?:^|_)calls?(?:_|$)|audio|image|video|weight|train|mask|prefix"
)
MEANINGLESS = ("finish_reason", "stop_reason", "tool_call_id")
NO_TOOLS = "calls of tools and their results are not learnt: write them as text in the turns beside them, or remove the row"


def turns(value: Any, key: str, role: Role) -> tuple[Message, ...]:
    """A text as one turn of the role, or a list of messages."""
    return (Message(role, value),) if isinstance(value, str) else read_messages(value, key)


def read_messages(value: Any, key: str) -> tuple[Message, ...]:
    """A list of messages.

    Raises:
        DataError: what is wrong with which message, or what of it cannot be learnt, and what to do.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise DataError(f"{key} must be a list of messages that is not empty, got {shown(value)}")
    messages = []
    for number, message in enumerate(value, start=1):
        try:
            messages.append(read_message(message))
        except DataError as error:
            raise DataError(f"{key}: {error} (message {number})") from error
    return tuple(messages)


def read_message(message: Any) -> Message:
    """One message. Raises DataError."""
    if not isinstance(message, Mapping):
        raise DataError(f'a message is {{"role": ..., "content": text}}, got {shown(message)}')
    message = {key: value for key, value in message.items() if value is not None}
    role = message.get("role", message.get("from"))
    if role in TOOL_ROLES:
        raise DataError(f"role {role}: {NO_TOOLS}")
    if not isinstance(role, str) or role.casefold() not in ROLES:
        raise DataError(f"role must be one of {', '.join(dict.fromkeys(ROLES.values()))}, got {shown(role)}")
    refuse_unread(message)
    content, inner = read_content(message.get("content", message.get("value")))
    thinking = read_thinking(message, inner)
    if thinking and ROLES[role.casefold()] != "assistant":
        raise DataError(f"thinking in a turn of role {role}: only the assistant thinks; remove it")
    learn = is_learnt(message) or ROLES[role.casefold()] != "assistant"
    return Message(ROLES[role.casefold()], with_thinking(thinking, content) if thinking else content, learn)


def refuse_unread(message: Mapping[str, Any]) -> None:
    """Refuse what would vanish: a field with a value whose name says that it holds more than is read here."""
    for field, value in message.items():
        if field in READ or field in MEANINGLESS or value in ("", [], {}, False):
            continue
        if field in ("tool_calls", "function_call"):
            raise DataError(f"{field}: {NO_TOOLS}")
        if SAID.search(field):
            hint = f"rename it to {THINKING[0]} if it is the thinking" if isinstance(value, str) else "it would be lost"
            raise DataError(f"the field {field!r} is not understood: {hint}, or remove it")


def read_content(value: Any) -> tuple[str, str]:
    """(what is said, the thinking among its parts) of a content: a text or a list of parts."""
    if isinstance(value, str):
        return value, ""
    if not isinstance(value, Sequence) or not value:
        raise DataError(f'a message is {{"role": ..., "content": text}}, got the content {shown(value)}')
    parts = [read_part(part) for part in value]
    return "".join(text for kind, text in parts if kind == "text"), "".join(text for kind, text in parts if kind == "thinking")


def read_part(part: Any) -> tuple[Literal["text", "thinking"], str]:
    """One part of a content: its kind and text. Raises DataError for images, sound, calls of tools ..."""
    if isinstance(part, str):
        return "text", part
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in ("text", "input_text", "output_text") and isinstance(part.get("text"), str):
        return "text", part["text"]
    if kind in ("thinking", "reasoning"):
        inner = part.get(kind) or part.get("text")
        if isinstance(inner, str | list) and inner:
            return "thinking", read_content(inner)[0]
    raise DataError(f"a part of content that is no text cannot be learnt: {shown(part)}; remove the part or the row")


def read_thinking(message: Mapping[str, Any], inner: str = "") -> str:
    """The thinking that stands in a field of its own, without its tags; "" where there is none.

    Args:
        inner: the thinking among the parts of the content.
    """
    found: dict[str, str] = {"content": inner} if inner.strip() else {}
    for key in THINKING:
        value = message.get(key)
        if value is None or value in ("", [], {}):
            continue
        text = read_content(value)[0] if isinstance(value, str | list) else None
        if text is None:
            raise DataError(f"{key} must be a text, got {shown(value)}")
        if text.strip():
            found[key] = text
    texts = {text.strip().removeprefix(THINK_OPEN).removesuffix(THINK_CLOSE).strip() for text in found.values()}
    if len(texts) > 1:
        raise DataError(f"{' and '.join(found)} are different thinking: keep one of them")
    thinking = next(iter(texts), "")
    if THINK_OPEN in thinking or THINK_CLOSE in thinking:
        raise DataError(f"{next(iter(found))} holds a tag {THINK_OPEN} or {THINK_CLOSE}: remove it")
    return thinking


def with_thinking(thinking: str, content: str) -> str:
    """The content with its thinking in tags. Raises DataError where it has other thinking already."""
    parts = split_thinking(content)
    if parts.opened or begins_inside_thinking(content):
        said = f"{parts.preamble}{parts.thinking or ''}".strip()
        if said not in ("", thinking):
            raise DataError(f"content has other thinking than the field of its own: {shown(said)}; keep one of them")
        content = parts.answer_region
    return join_thinking(thinking, content)


def is_learnt(message: Mapping[str, Any]) -> bool:
    """Whether a turn is learnt: `weight` and its kind say so, and without them it is. Raises DataError."""
    flags = {key: message[key] for key in LEARNT if message.get(key) is not None}
    for key, value in flags.items():
        if not isinstance(value, bool | int | float) or value not in (0, 1):
            raise DataError(f"{key} must be 0 or 1, got {shown(value)}: a turn is learnt or only read")
    if len({bool(value) for value in flags.values()}) > 1:
        raise DataError(f"{' and '.join(flags)} contradict each other")
    return all(flags.values())


def with_system(row: Mapping[str, Any], messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns after the system prompt that stands beside them in the row, where one does."""
    prompts = {row[key] for key in SYSTEM if isinstance(row.get(key), str) and row[key].strip()}
    if messages[0].role == "system":
        prompts.discard(messages[0].content)
    if not prompts:
        return messages
    if len(prompts) > 1 or messages[0].role == "system":
        raise DataError(f"two system prompts: {shown(sorted(prompts)[0])} and another one; keep one of them")
    return Message("system", prompts.pop()), *messages


def refuse_unsupported(row: Mapping[str, Any], keys: Sequence[str] = UNSUPPORTED) -> None:
    """Raises DataError for what a row holds for the model to read that is not given to it."""
    for key in keys:
        if row.get(key) not in (None, "", [], {}):
            raise DataError(f"{key}: not given to the model's chat template; remove the key, or the row")


def unread_fields(value: Any) -> Iterator[str]:
    """The names of fields with a value that mean nothing to a model, of each message of a list."""
    for message in value if isinstance(value, Sequence) and not isinstance(value, str) else ():
        if isinstance(message, Mapping):
            yield from (field for field, inner in message.items() if field not in READ and inner not in (None, "", [], {}))
