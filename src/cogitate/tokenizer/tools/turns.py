"""Functions, and the turns of a conversation in which they are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from cogitate.types import Message

DEEPEST = 64  # levels of a call's arguments


@dataclass(frozen=True, slots=True)
class Function:
    """What a model may call.

    Attributes:
        parameters: JSON schema of an object.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})

    def as_given(self) -> dict[str, Any]:
        """As chat templates read it."""
        about = {"description": self.description} if self.description else {}
        return {"type": "function", "function": {"name": self.name, **about, "parameters": dict(self.parameters)}}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """
    Attributes:
        arguments: a JSON object, as text.
        id: by which its result names it; "": it has none yet.
    """

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class CallingTurn:
    """A turn of the assistant's that ends with calls."""

    content: str
    calls: tuple[ToolCall, ...]
    role: ClassVar[str] = "assistant"


@dataclass(frozen=True, slots=True)
class ResultTurn:
    """What a call has returned."""

    content: str
    call_id: str
    name: str
    role: ClassVar[str] = "tool"


Turn = Message | CallingTurn | ResultTurn


def object_of(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None where it is none, holds a number that JSON does not know or a text that is not
    Unicode, or is too deep."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and depth_of(value, DEEPEST) <= DEEPEST else None


def depth_of(value: Any, most: int) -> int:
    """Levels of objects and lists, counted without recursion up to `most` + 1."""
    depth, level = 0, [value]
    while level and depth <= most:
        level = [
            inner
            for outer in level
            if isinstance(outer, Mapping | list)
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
        depth += 1
    return depth
