"""What a problem of kind code must have and may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogitate.errors import DataError
from cogitate.rewards.code.forms import check_forms, is_assertions
from cogitate.rewards.code.outcome import BadTestsError
from cogitate.rewards.code.prelude import prelude_source
from cogitate.rewards.fields import FLAG, Field, is_object, is_share, is_text
from cogitate.rewards.sandbox.limits import Limits

FIELDS: Mapping[str, Field] = {
    "mode": Field(lambda value: value in ("function", "stdin"), "function or stdin"),
    "tests": Field(
        lambda value: isinstance(value, str | list | tuple) and bool(value), "a list of tests, or the source of assertions"
    ),
    "entry_point": Field(is_text, "a text, the function's name", required=False),
    "limits": Field(lambda value: is_object(value) or isinstance(value, Limits), "an object of name -> number", required=False),
    "partial": FLAG,
    "weaker_tests": FLAG,
    "lint": FLAG,
    "reference_program": Field(is_text, "a text, a right program", required=False),
    "efficiency": Field(is_share, "a number from 0 to 1", required=False),
    "prelude": Field(is_text, "a text: the name of a prelude, or Python source", required=False),
    "decimals": Field(is_share, "a number from 0 to 1: how far a number may be off", required=False),
}


def check_together(fields: Mapping[str, Any]) -> None:
    """Raises DataError where fields that fit one by one cannot be used together."""
    try:
        Limits.of(fields.get("limits"), Limits())
    except ValueError as error:
        raise DataError(f"limits: {error}") from error
    try:
        check_forms(fields["tests"], fields["mode"])
    except BadTestsError as error:
        raise DataError(f"tests: {error}") from error
    try:
        prelude_source(fields.get("prelude") or "")
    except BadTestsError as error:
        raise DataError(f"prelude: {error}") from error
    if fields.get("efficiency") and fields.get("reference_program") is None:
        raise DataError("efficiency needs the field 'reference_program': a right program to compare with")
    if fields["mode"] == "function" and not fields.get("entry_point") and not is_assertions(fields["tests"]):
        raise DataError("kind code in mode function needs the field 'entry_point': the function's name")
