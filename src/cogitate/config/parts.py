"""Further parts of the reward as data: `[rewards.parts.NAME]` is a built-in one or a user's own function, and its weight.

Settings are below the rewards, so that built-in parts are named here and found in the table PARTS of `rewards/parts/table.py`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer
from pydantic_core import InitErrorDetails, PydanticCustomError

from cogitate.config.section import Section, in_identity_unless_default


@dataclass(frozen=True, slots=True)
class BuiltInPart:
    """What a built-in part is set by.

    Attributes:
        required, optional: the keyword arguments of its function in rewards.parts.table.PARTS.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


BUILT_IN_PARTS: dict[str, BuiltInPart] = {
    "cosine_length": BuiltInPart(
        ("max_length",), ("min_value_wrong", "max_value_wrong", "min_value_correct", "max_value_correct")
    ),
    "repetition_penalty": BuiltInPart(("ngram_size", "max_penalty")),
    "soft_overlong_punishment": BuiltInPart(("max_length", "cache")),
    "reasoning_steps": BuiltInPart(optional=("wanted",)),
}
WEIGHTS_ELSEWHERE = {  # parts that every reward of a stage has, and where their weights are set
    "accuracy": "rewards.accuracy",
    "format": "rewards.format",
    "language": "rewards.language for R1-Zero, STAGE.language_weight for later stages",
    "helpfulness": "STAGE.helpfulness_weight",
    "safety": "STAGE.safety_weight",
}
FUNCTION = re.compile(r".+\.py:[A-Za-z_]\w*")


class RewardPartConfig(Section):
    """One further part of the reward: its weight, and a function of one's own or the settings of a built-in part."""

    weight: float = 1.0
    file: str = in_identity_unless_default("")  # "FILE.py:FUNCTION" of a part of one's own
    max_length: int | None = in_identity_unless_default(None, ge=1)  # tokens
    cache: int | None = in_identity_unless_default(None, ge=1)  # tokens below max_length in which the punishment grows
    ngram_size: int | None = in_identity_unless_default(None, ge=1)  # words
    max_penalty: float | None = in_identity_unless_default(None, lt=0)  # where every n-gram repeats an earlier one
    wanted: int | None = in_identity_unless_default(None, ge=1)  # visible steps
    min_value_wrong: float | None = in_identity_unless_default(None)
    max_value_wrong: float | None = in_identity_unless_default(None)
    min_value_correct: float | None = in_identity_unless_default(None)
    max_value_correct: float | None = in_identity_unless_default(None)

    @model_serializer(mode="wrap")
    def _what_is_set(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the settings of other parts, which would be a column of nulls in each list of settings."""
        written: dict[str, Any] = serialise(self)
        return {name: value for name, value in written.items() if value not in (None, "")}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a built-in part that are given, by name."""
        given = {name: getattr(self, name) for name in type(self).model_fields if name not in ("weight", "file")}
        return {name: value for name, value in given.items() if value is not None}


def parts_field() -> Any:
    """The field of the section that holds the parts, by name."""
    return Field(default_factory=dict, json_schema_extra={"identity": "where set"})


def check_parts(parts: Mapping[str, RewardPartConfig]) -> None:
    """Raises a ValidationError, placed at the key, where a part cannot be meant."""
    for name, part in parts.items():
        _check_name(name, part)
        if part.file:
            _check_own(name, part)
        else:
            _check_built_in(name, part)


def fault(name: str, key: str, value: Any, why: str) -> ValidationError:
    """An error at `name`, or at `name.key`."""
    details = InitErrorDetails(
        type=PydanticCustomError("part_of_reward", "{why}", {"why": why}), loc=(name, key) if key else (name,), input=value
    )
    return ValidationError.from_exception_data("parts of the reward", [details])


def _check_name(name: str, part: RewardPartConfig) -> None:
    given = part.model_dump(exclude_unset=True)
    if name in WEIGHTS_ELSEWHERE:
        raise fault(name, "", given, f"{name} has a weight of its own: set {WEIGHTS_ELSEWHERE[name]}")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise fault(name, "", given, "the name of a part is made of letters, digits and _")
    if not part.file and name not in BUILT_IN_PARTS:
        nearest = difflib.get_close_matches(name, BUILT_IN_PARTS, n=1, cutoff=0.0)[0]
        raise fault(
            name, "", given, f"no built-in part has this name; did you mean {nearest}? For a part of your own also set "
            f"rewards.parts.{name}.file=FILE.py:FUNCTION",
        )  # fmt: skip


def _check_own(name: str, part: RewardPartConfig) -> None:
    if name in BUILT_IN_PARTS:
        raise fault(name, "file", part.file, f"{name} is built in; give your own part another name")
    if not FUNCTION.fullmatch(part.file):
        raise fault(name, "file", part.file, "write FILE.py:FUNCTION")
    for key, value in part.settings.items():
        raise fault(name, key, value, f"a part of one's own has no use for {key}; leave it out")


def _check_built_in(name: str, part: RewardPartConfig) -> None:
    row = BUILT_IN_PARTS[name]
    takes = (*row.required, *row.optional)
    for key, value in part.settings.items():
        if key not in takes:
            raise fault(name, key, value, f"{name} has no use for {key}; it takes {', '.join(takes)}")
    missing = [f"rewards.parts.{name}.{key}" for key in row.required if key not in part.settings]
    if missing:
        raise fault(name, "", part.model_dump(exclude_unset=True), f"also set {' and '.join(missing)}")
    if part.cache is not None and part.max_length is not None and part.cache > part.max_length:
        raise fault(name, "cache", part.cache, f"cache is at most max_length, which is {part.max_length}")
