"""From a TOML file and dotted overrides to a table of settings, and from a validation error to one line."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from cogitate.config.section import Section
from cogitate.errors import ConfigError

DATA_VARIABLE = "$COGITATE_DATA"


def read_toml(path: Path) -> dict[str, Any]:
    """The table of a file.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def place_data(settings: Any, key: str = "") -> Any:
    """Settings with $COGITATE_DATA in their texts replaced by that environment variable: recipes name data, users say where.

    Raises:
        ConfigError: a setting needs it and it is not set.
    """
    if isinstance(settings, dict):
        return {name: place_data(value, f"{key}.{name}" if key else name) for name, value in settings.items()}
    if not isinstance(settings, str) or DATA_VARIABLE not in settings:
        return settings
    place = os.environ.get(DATA_VARIABLE.removeprefix("$"))
    if not place:
        raise ConfigError(
            f"{key} = {json.dumps(settings)}: the environment variable {DATA_VARIABLE.removeprefix('$')} is not set; set it to "
            f"the directory the data are in, or give {key}=PATH"
        )
    return settings.replace(DATA_VARIABLE, place.rstrip("/"))


def apply_override(table: dict[str, Any], override: str) -> None:
    """Set one `section.key=value` in a nested table, in place."""
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"{override!r}: a setting is written section.key=value")
    *sections, key = dotted.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{override!r}: {section} is not a section")
    table[key] = parse_value(text.strip())


def parse_value(text: str) -> Any:
    """A TOML value, or the text itself where it is none (so that paths need no quotes)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def explain(error: ValidationError, settings: type[Section]) -> tuple[str, str]:
    """The first problem of a validation as its dotted key and one line; names the nearest key where one is unknown."""
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        section: Any = settings
        for part in location[:-1]:
            sections = [of for of in get_args(section) if isinstance(of, type) and issubclass(of, Section)]
            section = sections[0] if sections else section.model_fields[part].annotation  # of a list, or of a table by name
        nearest = difflib.get_close_matches(location[-1], section.model_fields, n=1, cutoff=0.0)[0]
        return key, f"unknown key {key}; did you mean {'.'.join([*location[:-1], nearest])}?"
    if first["type"] in ("model_type", "dict_type"):
        return key, f"{key} = {json.dumps(first['input'], default=str)}: {key} is a section: write {key}.KEY=VALUE"
    return key, f"{key} = {json.dumps(first['input'], default=str)}: {first['msg'].removeprefix('Value error, ')}"
