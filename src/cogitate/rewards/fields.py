"""What a problem's fields may be: a test for each, and words for the message where it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cogitate.errors import DataError


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a problem.

    Attributes:
        fits: whether the grader can use a value.
        wanted: what it can use, for messages: "an integer".
        required: whether a problem must have the field. One that need not may also be None.
    """

    fits: Callable[[Any], bool]
    wanted: str
    required: bool = True


def check_each(kind: str, wanted: Mapping[str, Field], fields: Mapping[str, Any]) -> None:
    """Raises DataError for the first field that is missing or does not fit."""
    for name, field in wanted.items():
        value = fields.get(name)
        if name not in fields and field.required:
            raise DataError(f"kind {kind} needs the field {name!r}: {field.wanted}")
        if (field.required or value is not None) and not field.fits(value):
            raise DataError(f"{name} = {str(value)[:60]!r}: kind {kind} needs {field.wanted}")


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_text_or_number(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def is_yes_or_no(value: Any) -> bool:
    return isinstance(value, bool)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_integers(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(is_integer, value))


def is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def is_objects(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(is_object, value))


def is_filled_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value)


def is_lists_of_texts(value: Any) -> bool:
    return is_filled_list(value) and all(is_filled_list(inner) and all(map(is_text, inner)) for inner in value)


def is_roles(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(map(is_yes_or_no, value.values()))


FLAG = Field(is_yes_or_no, "true or false", required=False)
GOLD = Field(is_text_or_number, "a text")
