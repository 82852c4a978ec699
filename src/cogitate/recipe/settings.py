"""A recipe's settings: TOML files plus dotted overrides become one validated Config with a section for each of its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cogitate.config import PROPOSED, Config, RLConfig, Section, StageRow, ZeroRLConfig, config_with, flatten
from cogitate.config.layers import COMMAND_LINE, GRAPH_KEYS, OF_FILES, Layer, lay_over, origins_of, read_layers
from cogitate.config.methods import METHODS
from cogitate.config.toml import apply_override, explain, place_data
from cogitate.errors import ConfigError
from cogitate.recipe.kinds import KINDS
from cogitate.recipe.recipe import GRAPHS, get_graph
from cogitate.recipe.run_directory.made_with import MADE_WITH
from cogitate.recipe.stage import Stage, proposals_for
from cogitate.runtime import pick_device

PRESETS = Path(__file__).parent / "presets"
LEFT_TO = "left to"  # the origin of a setting that a stage of kind probe proposes: "left to probe"
DEFAULT_GRAPH: str = Config.model_fields["graph"].default


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings, and where each value came from.

    Attributes:
        origins: dotted key -> what set it: the name of a shipped recipe, a file, the command line or a method of RL. What is
            not here has its default.
    """

    config: Config
    origins: Mapping[str, str]


def load_recipe(recipe: str, overrides: Sequence[str] = ()) -> Config:
    """The settings of read_recipe alone."""
    return read_recipe(recipe, overrides).config


def read_recipe(recipe: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, what it extends, and apply `section.key=value` overrides.

    Where a layer brings another graph than those beneath it, their sections and inputs of stages that this graph does not have,
    or has with other settings, are left out, and their settings that none of its stages uses.

    Args:
        recipe: the name of a shipped recipe, or the path of a TOML file.
        overrides: values are read as TOML where they parse as such, else as plain text.

    Raises:
        ConfigError: no such recipe, bad TOML, a graph that cannot be, an unknown key (the nearest is named) or a value out of
            range.
    """
    changed: dict[str, Any] = {}
    for override in overrides:
        apply_override(changed, override)
    for key in OF_FILES.keys() & changed.keys():
        raise ConfigError(f"{key}: {OF_FILES[key]} is named in a recipe's file, not on the command line")
    files = read_layers(recipe, find_recipe)
    layers, graph = for_one_graph([*files, Layer(COMMAND_LINE, changed)])
    table: dict[str, Any] = {}
    for layer in layers[:-1]:  # the command line, where a key may be dotted, follows
        table = lay_over(table, layer.table)
    for override in overrides:
        apply_override(table, override)
    origins = origins_of(table, layers)
    origins |= leave_to_probes(table, graph) | choose_type(table)
    settings = config_class(graph)
    try:
        config = settings.model_validate(place_data(table))
    except ValidationError as error:
        key, problem = explain(error, settings)
        said_by = {origin for name, origin in origins.items() if is_within(name, key) or is_within(key, name)}
        if COMMAND_LINE in said_by:
            raise ConfigError(problem) from error
        file = next((layer.name for layer in reversed(files) if layer.name in said_by), files[-1].name)
        raise ConfigError(f"{file}: {problem}") from error
    shown = {key: Path(name).stem if Path(name).parent == PRESETS else name for key, name in origins.items()}
    return Recipe(config, shown | set_by_methods(config, origins))


def is_within(key: str, section: str) -> bool:
    """Whether a dotted key is this section, or below it."""
    return f"{key}.".startswith(f"{section}.")


def for_one_graph(layers: Sequence[Layer]) -> tuple[list[Layer], tuple[Stage, ...]]:
    """The layers without what belongs to stages of another graph than the uppermost one, and this graph."""
    decides = max((number for number, layer in enumerate(layers) if layer.has_graph), default=-1)
    given: dict[str, Any] = {}
    for layer in layers:
        given |= inputs_of(layer)
    graph = graph_of_layer(layers[decides], given) if decides >= 0 else get_graph(DEFAULT_GRAPH)
    kept: list[Layer] = []
    before = list(GRAPHS[DEFAULT_GRAPH])
    for layer in layers[: max(decides, 0)]:
        before = stages_named_in(layer) if layer.has_graph else before
        kept.append(without_other_stages(layer, before, graph))
    return [*kept, *layers[max(decides, 0) :]], graph


def graph_of_layer(layer: Layer, given: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The graph that a layer names or holds. Raises ConfigError, which names its file."""
    try:
        return get_graph(str(layer.table["graph"]), rows_of(layer.table), given)
    except ConfigError as error:
        raise ConfigError(str(error) if layer.name == COMMAND_LINE else f"{layer.name}: {error}") from error


def rows_of(table: Mapping[str, Any]) -> list[StageRow]:
    """The stages of a table's own graph. Raises ConfigError where a row is not one."""
    try:
        return [StageRow.model_validate(row) for row in table.get("stages", ())]
    except ValidationError as error:
        raise ConfigError(f"[[stages]]: {explain(error, StageRow)[1]}") from error


def stages_named_in(layer: Layer) -> list[Stage]:
    """The stages of a lower layer's graph, which need not be a graph that can be run."""
    if "stages" not in layer.table:
        return list(GRAPHS.get(str(layer.table["graph"]), ()))
    rows = [row for row in rows_of(layer.table) if row.kind in KINDS]
    return [Stage(row.name, KINDS[row.kind], row.needs) for row in rows]


def without_other_stages(layer: Layer, before: Sequence[Stage], graph: Sequence[Stage]) -> Layer:
    """A layer without graph, and without sections and inputs of stages that are not in the graph or have other settings there.

    Args:
        before: the stages of the layer's own graph.
    """
    shipped = [stage for stages in GRAPHS.values() for stage in stages]
    was, now = sections(before), sections(graph)
    other = (sections(shipped) | was).keys() - now.keys() | {name for name in was if now.get(name) is not was[name]}
    table = {name: value for name, value in layer.table.items() if name not in other and name not in GRAPH_KEYS}
    if given := inputs_of(layer):
        known = {name for stage in [*shipped, *before] for name in (stage.name, *stage.needs)}
        unknown = known - {stage.name for stage in graph}
        table["inputs"] = {name: path for name, path in given.items() if name not in unknown}
    leave_out_unused(table, graph)
    return Layer(layer.name, table)


def leave_out_unused(table: dict[str, Any], graph: Sequence[Stage]) -> None:
    """Leave out, in place, a lower layer's settings that no stage of the graph uses."""
    uses = {key for stage in graph for key in stage.kind.uses}
    for section, key in (("tasks", "train"), ("rewards", "parts")):
        held = table.get(section)
        # A share that is held out depends on the training files.
        if f"{section}.{key}" not in uses and isinstance(held, Mapping) and not held.get("held_out_share"):
            table[section] = {name: value for name, value in held.items() if name != key}


def inputs_of(layer: Layer) -> dict[str, Any]:
    """The artifacts that a layer gives; {} where they are no table, which is refused later."""
    inputs = layer.table.get("inputs")
    return dict(inputs) if isinstance(inputs, Mapping) else {}


def leave_to_probes(table: dict[str, Any], graph: Sequence[Stage]) -> dict[str, str]:
    """Name, in place, what a stage takes from the probe that it needs: where it does not say, all that nobody sets.

    Returns:
        the origin of each of these settings.

    Raises:
        ConfigError: a setting is both set and left to a probe.
    """
    origins: dict[str, str] = {}
    for stage in graph:
        probes = proposals_for(graph, stage.needs) if stage.has(ZeroRLConfig) else []
        section = table.setdefault(stage.name, {}) if probes else None
        if not isinstance(section, dict):
            continue
        method = METHODS.get(str(section.get("method", "grpo")))
        taken = {*section, *(method.defaults if method else ()), *(method.ignores if method else ())}
        if twice := [key for key in section.get("from_probe", ()) if key in section]:
            raise ConfigError(
                f"{stage.name}.from_probe names {twice[0]}, and {stage.name}.{twice[0]} is set: leave one of them out"
            )
        if "from_probe" not in section:
            section["from_probe"] = [key for key in PROPOSED if key not in taken]
            origins[f"{stage.name}.from_probe"] = "all that is not set"
        keys = section["from_probe"]
        origins |= {f"{stage.name}.{key}": f"{LEFT_TO} {probes[0]}" for key in keys}
    return origins


def choose_type(table: Mapping[str, Any]) -> dict[str, str]:
    """Put the type that suits the machine in place of runtime.dtype = "auto": runs record and compare what was computed in.

    Returns:
        the origin of that setting, where it was so.
    """
    runtime = table.get("runtime")
    if not isinstance(runtime, dict) or runtime.get("dtype") != "auto":
        return {}
    from cogitate.kernels.isa import faster_type, isa  # here, so that recipes that say their type need not wait for torch

    device = pick_device(str(runtime.get("device", "auto")))
    runtime["dtype"], why = (faster_type(), isa()) if device.type == "cpu" else ("bfloat16", device.type)
    return {"runtime.dtype": f"auto, {why}"}


def set_by_methods(config: Config, origins: Mapping[str, str]) -> dict[str, str]:
    """Settings of RL that nobody gave and that a method has a value of its own for."""
    found: dict[str, str] = {}
    for name, info in type(config).model_fields.items():
        section = getattr(config, name)
        if not isinstance(section, RLConfig):
            continue
        own = METHODS[section.method].defaults if section.method in METHODS else {}
        for key, value in flatten(section.model_dump()).items():
            differs = value != getattr(info.default, key, value)  # the estimate of the KL follows from its place, too
            if f"{name}.{key}" not in origins and (key in own or differs):
                found[f"{name}.{key}"] = f"method {section.method}"
    return found


def make_config(table: Mapping[str, Any]) -> Config:
    """The settings that a table holds, as `Config.model_dump` or a run's config.json writes it."""
    table = {key: value for key, value in table.items() if key != MADE_WITH}
    graph = get_graph(table.get("graph", DEFAULT_GRAPH), rows_of(table), table.get("inputs", ()))
    return config_class(graph).model_validate(table)


def config_class(graph: Sequence[Stage]) -> type[Config]:
    """The class of the settings of a graph's recipes: what every recipe has, and a section for each stage that has one."""
    return config_with(tuple(sections(graph).items()))


def sections(graph: Sequence[Stage]) -> dict[str, type[Section]]:
    """The sections of a graph's stages, by name."""
    found: dict[str, type[Section]] = {}
    for stage in graph:
        found |= stage.kind.sections
        if stage.kind.settings is not None:
            found[stage.name] = stage.kind.settings
    return found


def find_recipe(recipe: str, folder: Path = Path()) -> Path:
    """The TOML file of a shipped recipe's name, or of a path in a folder."""
    as_path, shipped = folder / recipe, PRESETS / f"{recipe}.toml"
    if as_path.suffix == ".toml" or "/" in recipe:
        if not as_path.is_file():
            raise ConfigError(f"{as_path}: no such recipe file")
        return as_path
    if shipped.is_file():
        return shipped
    names = sorted(p.stem for p in PRESETS.glob("*.toml"))
    raise ConfigError(f"{recipe}: no such recipe; shipped are {', '.join(names)}; or give the path of a .toml file")
