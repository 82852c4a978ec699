"""A recipe's settings as layers of tables: the file, beneath it the recipes that it extends, and on top the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.config.config import StageRow
from cogitate.config.section import flatten
from cogitate.config.toml import read_toml
from cogitate.errors import ConfigError

COMMAND_LINE = "command line"
OF_FILES = {"extends": "a recipe that this one extends", "stages": "a graph of stages"}
OWN = "own"  # the name of every graph that a recipe file holds itself
GRAPH_KEYS = ("graph", "stages")  # the graph is that of the uppermost layer that has either

Find = Callable[[str, Path], Path]  # a recipe as it is named in a file of a folder -> its file


@dataclass(frozen=True, slots=True)
class Layer:
    """One file, or the command line.

    Attributes:
        name: for messages and the dry run: the file's path.
        table: its settings; those that stand in rows of [[stages]] are in the sections of these stages.
    """

    name: str
    table: Mapping[str, Any]

    @property
    def has_graph(self) -> bool:
        return any(key in self.table for key in GRAPH_KEYS)


def read_layers(recipe: str, find: Find) -> list[Layer]:
    """A recipe's file and all that it extends, the lowest first.

    Raises:
        ConfigError: a file cannot be read, extends itself, or holds both a graph's name and stages of its own.
    """
    layers: list[Layer] = []
    paths: list[Path] = []
    folder = Path()
    while True:
        path = find(recipe, folder)
        if path.resolve() in [earlier.resolve() for earlier in paths]:
            raise ConfigError(f"{paths[-1]}: extends {path}, which extends it: {' -> '.join(map(str, [*paths, path]))}")
        table = read_toml(path)
        paths.append(path)
        extended = table.pop("extends", None)
        layers.insert(0, Layer(str(path), with_settings_of_rows(table, str(path))))
        if extended is None:
            return layers
        if not isinstance(extended, str):
            raise ConfigError(f"{path}: extends = {extended!r}: name one recipe, shipped or a .toml file")
        recipe, folder = extended, path.parent


def with_settings_of_rows(table: dict[str, Any], file: str) -> dict[str, Any]:
    """A file's table in which rows of [[stages]] have no settings: these stand in sections.

    Raises:
        ConfigError: the rows are no tables, have neither name nor kind, or set what the section sets.
    """
    if "stages" not in table:
        return table
    if "graph" in table:
        raise ConfigError(f"{file}: has both graph and [[stages]]: give the name of a graph, or stages of your own")
    rows = table["stages"]
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{file}: stages: write each stage as a table [[stages]] with name, kind and needs")
    for number, row in enumerate(rows, 1):
        place = f"{file}: [[stages]] number {number}"
        for key in ("name", "kind"):
            if not isinstance(row.get(key), str):
                raise ConfigError(f"{place}: {key} is missing or is not a text")
        if not isinstance(row.get("needs", []), list):
            raise ConfigError(f'{place}: needs is not a list; write needs = ["NAME", ...]')
        settings = {key: value for key, value in row.items() if key not in StageRow.model_fields}
        section = table.setdefault(row["name"], {}) if settings else {}
        if not isinstance(section, dict):
            raise ConfigError(f"{place}: {row['name']} is a setting, not a stage's section; give the stage another name")
        if twice := settings.keys() & section.keys():
            raise ConfigError(f"{place}: {min(twice)} is also set in [{row['name']}]: set it once")
        section |= settings
    return {**table, "graph": OWN, "stages": [{key: row[key] for key in StageRow.model_fields if key in row} for row in rows]}


def lay_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table over another, key by key; a table that names a model_type is a whole architecture and replaces another one."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and "model_type" not in value:
            merged[key] = lay_over(old, value)
        else:
            merged[key] = value
    return merged


def origins_of(table: Mapping[str, Any], layers: Sequence[Layer]) -> dict[str, str]:
    """The name of the uppermost layer that sets each dotted key of the merged table."""
    flat = [(layer.name, flatten(layer.table)) for layer in reversed(layers)]
    return {key: next(name for name, values in flat if key in values) for key in flatten(table)}
