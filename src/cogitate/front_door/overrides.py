"""Settings from Python as the command line writes them: `section.key=value`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.errors import ConfigError


def to_overrides(*sources: Mapping[str, Any]) -> list[str]:
    """One override for each setting of several mappings, whose keys are dotted, nested, or both.

    {"r1_zero.steps": 3} and {"r1_zero": {"steps": 3}} are the same.

    Raises:
        ConfigError: two mappings give a setting different values, or a value is none that a recipe can hold.
    """
    values: dict[str, str] = {}
    for source in sources:
        for key, value in flat(source):
            text = toml_value(key, value)
            if values.setdefault(key, text) != text:
                raise ConfigError(f"{key}: given twice, as {values[key]} and as {text}: keep one of them")
    return [f"{key}={text}" for key, text in values.items()]


def flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """(dotted key, value) of each setting, at any depth."""
    pairs: list[tuple[str, Any]] = []
    for key, value in settings.items():
        pairs += flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return pairs


def toml_value(key: str, value: Any) -> str:
    """A value as TOML, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        pairs = [f"{toml_value(key, str(name))} = {toml_value(key, inner)}" for name, inner in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(toml_value(key, item) for item in value)}]"
    raise ConfigError(f"{key} = {value!r}: a setting is a number, a text, true or false, or a list or mapping of these")
