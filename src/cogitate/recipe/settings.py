"""A recipe's settings: a TOML file plus dotted overrides becomes one validated Config with a section for each of its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cogitate.config import Config, Section, config_with
from cogitate.config.toml import apply_override, explain, place_data, read_toml
from cogitate.errors import ConfigError
from cogitate.recipe.recipe import GRAPHS, get_graph

PRESETS = Path(__file__).parent / "presets"


def load_recipe(recipe: str, overrides: Sequence[str] = ()) -> Config:
    """Read a recipe and apply `section.key=value` overrides.

    Where an override names another graph than the file, the file's sections of stages that this graph has not are left out,
    and its settings that none of these stages uses.

    Args:
        recipe: the name of a shipped recipe, or the path of a TOML file.
        overrides: values are read as TOML where they parse as such, else as plain text.

    Raises:
        ConfigError: no such recipe, bad TOML, an unknown key (the nearest is named) or a value out of range.
    """
    path = find_recipe(recipe)
    table = read_toml(path)
    changed: dict[str, Any] = {}
    for override in overrides:
        apply_override(changed, override)
        apply_override(table, override)
    if "graph" in changed:
        of_any_graph = {name for graph in GRAPHS for name in sections(graph)}
        unknown = of_any_graph - sections(changed["graph"]).keys() - changed.keys()
        table = {name: value for name, value in table.items() if name not in unknown}
        leave_out_unused(table, changed)
    table = place_data(table)
    settings = config_class(table.get("graph", Config.model_fields["graph"].default))
    try:
        return settings.model_validate(table)
    except ValidationError as error:
        key, problem = explain(error, settings)
        from_file = not any(override.partition("=")[0].strip().startswith(key) for override in overrides)
        raise ConfigError(f"{path}: {problem}" if from_file else problem) from error


def leave_out_unused(table: dict[str, Any], changed: Mapping[str, Any]) -> None:
    """Leave out, in place, the file's settings that only stages of other graphs use, where no override sets them."""
    uses = {key for stage in get_graph(changed["graph"]) for key in stage.kind.uses}
    for section, key in (("tasks", "train"), ("rewards", "parts")):
        of_file, of_user = table.get(section), changed.get(section, {})
        if f"{section}.{key}" in uses or not isinstance(of_file, dict) or not isinstance(of_user, dict) or key in of_user:
            continue
        if not of_file.get("held_out_share"):  # which depends on the training files
            of_file.pop(key, None)


def make_config(table: Mapping[str, Any]) -> Config:
    """The settings that a table holds, as `Config.model_dump` writes it."""
    return config_class(table.get("graph", Config.model_fields["graph"].default)).model_validate(table)


def config_class(graph: str) -> type[Config]:
    """The class of the settings of a graph's recipes: what every recipe has, and a section for each stage that has one.

    Raises:
        ConfigError: no such graph.
    """
    return config_with(tuple(sections(graph).items()))


def sections(graph: str) -> dict[str, type[Section]]:
    """The sections of a graph's stages, by name."""
    found: dict[str, type[Section]] = {}
    for stage in get_graph(graph):
        found |= stage.kind.sections
        if stage.kind.settings is not None:
            found[stage.name] = stage.kind.settings
    return found


def find_recipe(recipe: str) -> Path:
    """The TOML file of a shipped recipe's name or of a path."""
    as_path, shipped = Path(recipe), PRESETS / f"{recipe}.toml"
    if as_path.suffix == ".toml" or "/" in recipe:
        if not as_path.is_file():
            raise ConfigError(f"{recipe}: no such recipe file")
        return as_path
    if shipped.is_file():
        return shipped
    names = sorted(p.stem for p in PRESETS.glob("*.toml"))
    raise ConfigError(f"{recipe}: no such recipe; shipped are {', '.join(names)}; or give the path of a .toml file")
