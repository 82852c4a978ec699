"""What all sections of settings share: frozen, closed to unknown keys, and which of their keys are part of artifact ids.

Keys that cannot change a result (how often to checkpoint, say) are marked with `not_in_identity`, so that changing them repeats
no finished stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def not_in_identity(default: Any, **constraints: Any) -> Any:
    """A setting that cannot change a result: it stays out of artifact ids."""
    return Field(default, json_schema_extra={"identity": False}, **constraints)


def in_identity_unless_default(default: Any, **constraints: Any) -> Any:
    """A setting that came later: it is part of artifact ids only where it differs from its default, so that older ids stay."""
    return Field(default, json_schema_extra={"identity": "where set"}, **constraints)


class Section(BaseModel):
    """Base of all sections: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """The keys that can change a result, JSON-ready; sections within are nested."""
        kept: dict[str, Any] = {}
        for name, info in type(self).model_fields.items():
            value = getattr(self, name)
            rule = info.json_schema_extra.get("identity") if isinstance(info.json_schema_extra, dict) else True
            if rule is False or (rule == "where set" and value == info.get_default(call_default_factory=True)):
                continue
            kept[name] = identity_of(value)
        return kept


def identity_of(value: Any) -> Any:
    """A setting as artifact ids hold it."""
    if isinstance(value, tuple):
        return [identity_of(item) for item in value]
    if isinstance(value, Mapping):
        return {key: identity_of(item) for key, item in value.items()}
    return value.identity() if isinstance(value, Section) else value


def flatten(nested: Mapping[str, Any]) -> dict[str, Any]:
    """{"base": {"steps": 3}} becomes {"base.steps": 3}, at any depth; an empty section vanishes."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": inner_value for inner, inner_value in flatten(value).items()}
        else:
            flat[key] = value
    return flat
