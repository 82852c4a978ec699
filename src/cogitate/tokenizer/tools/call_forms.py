"""How models write calls: the forms of the families that this server reads.

A form is known by what a model's chat template writes for a call (`conversation.Calling`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cogitate.tokenizer.tools.turns import ToolCall, object_of

CALLS_BEGIN, CALLS_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
CALL_BEGIN, CALL_SEP, CALL_END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"
NAME = "NAME"


@dataclass(frozen=True, slots=True)
class CallForm:
    """
    Attributes:
        opens, closes: around one call; "": the whole answer is calls, and what looks like JSON is one.
        read: the call that stands between them; None where it is none.
        before, after: what stands before and after the arguments; NAME is the function's.
        between: two calls.
        begins, ends: around all calls; they are no part of a text.
        first: what stands first between `opens` and `closes`, white space aside; "": anything.
    """

    opens: str
    closes: str
    read: Callable[[str], ToolCall | None]
    before: str
    after: str
    between: str = "\n"
    begins: str = ""
    ends: str = ""
    first: str = ""

    def text_of(self, calls: tuple[ToolCall, ...] | list[ToolCall]) -> str:
        """Calls as the model writes them."""
        each = [f"{self.before.replace(NAME, call.name)}{call.arguments}{self.after}" for call in calls]
        return f"{self.begins}{self.between.join(each)}{self.ends}"


def read_object(body: str, key: str) -> ToolCall | None:
    """{"name": ..., key: {...}}"""
    value = object_of(body)
    if value is None or not isinstance(value.get("name"), str) or not value.keys() <= {"name", "type", key}:
        return None
    arguments = value.get(key, {})
    return ToolCall(value["name"], json.dumps(arguments, ensure_ascii=False)) if isinstance(arguments, dict) else None


def read_named(body: str) -> ToolCall | None:
    """A name, a separator, and the arguments; as DeepSeek-R1 writes it the word `function` comes first, and the arguments are
    fenced."""
    name, _, arguments = body.partition(CALL_SEP)
    if name.strip() == "function":
        name, _, arguments = arguments.partition("\n")
        arguments = arguments.strip().removeprefix("```json").removesuffix("```")
    value = object_of(arguments)
    return None if value is None or not name.strip() else ToolCall(name.strip(), json.dumps(value, ensure_ascii=False))


HERMES = CallForm(
    "<tool_call>", "</tool_call>", lambda body: read_object(body, "arguments"),
    f'<tool_call>\n{{"name": "{NAME}", "arguments": ', "}\n</tool_call>", first="{",
)  # fmt: skip
"""Hermes 2 Pro, Qwen2.5, Qwen3, SmolLM3; and every model whose template knows no calls."""

DEEPSEEK_R1 = CallForm(
    CALL_BEGIN, CALL_END, read_named, f"{CALL_BEGIN}function{CALL_SEP}{NAME}\n```json\n", f"\n```{CALL_END}",
    begins=CALLS_BEGIN, ends=CALLS_END,
)  # fmt: skip
DEEPSEEK_V31 = CallForm(
    CALL_BEGIN, CALL_END, read_named, f"{CALL_BEGIN}{NAME}{CALL_SEP}", CALL_END, "", CALLS_BEGIN, CALLS_END
)  # fmt: skip
LLAMA3 = CallForm(
    "", "", lambda body: read_object(body, "parameters"), f'{{"name": "{NAME}", "parameters": ', "}", "; ",
)  # fmt: skip

FORMS = (HERMES, DEEPSEEK_R1, DEEPSEEK_V31, LLAMA3)


def texts_with_tags(texts: Sequence[bytes], form: CallForm, control_ids: Mapping[str, int]) -> list[bytes]:
    """The bytes of each token, of those too that models write around calls and that are no text elsewhere."""
    made, sample = list(texts), form.text_of([ToolCall("", ""), ToolCall("", "")])
    for text, token in control_ids.items():
        if text in sample:
            made[token] = text.encode()
    return made
