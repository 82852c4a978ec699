"""Settings that differ from those a run directory was written with, and what this does to the stages in it.

Artifact ids decide: a finished stage whose id is still the same stays, one whose id is another would have to be made again. No
work is deleted: a run that would make finished work again is refused, and names it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from cogitate.config import Config, flatten
from cogitate.errors import ConfigError
from cogitate.recipe.run_directory.failed_start import CONFIG
from cogitate.recipe.run_directory.store import Identity, differing_settings, show


def changed_settings(out: Path, config: Config) -> dict[str, str]:
    """Dotted key -> `key = theirs, now key = ours` of each setting that config.json has otherwise; {} where there is none.

    Raises:
        ConfigError: config.json is damaged, or of another graph, whose stages may have the same names.
    """
    path = out / CONFIG
    if not path.is_file():
        return {}
    try:
        recorded = flatten(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: damaged ({error}); use another --out") from error
    asked = flatten(config.model_dump(mode="json"))
    if recorded.get("graph") != config.graph:
        raise ConfigError(f"{out} was started with {show(recorded, 'graph')}, now {show(asked, 'graph')}: use another --out")
    check_same_graph(out, recorded, config)
    defaults = flatten(type(config)().model_dump(mode="json"))
    sections = type(config).model_fields.keys() - {"stages"}  # version 0.1 recorded sections of other graphs' stages, too
    changed = {}
    for key in [*asked, *(key for key in recorded if key not in asked)]:
        if key.partition(".")[0] not in sections:
            continue
        known = {key: defaults[key]} if key in defaults and key not in recorded else recorded  # a setting that came later
        if known.get(key) != asked.get(key) or (key in known) != (key in asked):
            changed[key] = f"{show(known, key)}, now {show(asked, key)}"
    return changed


def check_same_graph(out: Path, recorded: Mapping[str, Any], config: Config) -> None:
    """Refuse a recipe whose own graph is another one than `out` was started with; titles may differ."""
    was = {row["name"]: f"{row['kind']} of {row['needs']}" for row in recorded.get("stages", ())}
    now = {row.name: f"{row.kind} of {list(row.needs)}" for row in config.stages}
    for name in [*now, *was]:
        before, after = was.get(name, "not there"), now.get(name, "not there")
        if before != after:
            raise ConfigError(
                f"{out} was started with another graph: stage {name} was {before}, now {after}: use another --out"
            )


def reasons(
    record: Mapping[str, Any], identity: Identity, changed: Mapping[str, str], outdated: Collection[str]
) -> Iterator[str]:
    """Why work of this record is not that of the identity: each setting, and each input.

    Args:
        record: a manifest, or the record of an unfinished attempt.
        changed: of `changed_settings`.
        outdated: the stages that would be made again.
    """
    for key in differing_settings(record, identity):
        values = (str(record["settings"].get(key, "")), str(identity.settings.get(key, "")))
        if key in changed:
            yield changed[key]
        elif any("file " in value for value in values):
            yield f"the content of the files of {key} is another one"
        else:
            yield f"{show(record['settings'], key)}, now {show(identity.settings, key)}"
    if record["version"] != identity.version:
        yield f"version {record['version']} of the stage's code, now {identity.version}"
    for name, input_id in identity.inputs.items():
        if record["inputs"].get(name) != input_id:
            yield f"{name} would be made again" if name in outdated else f"another {name}"
    if not differing_settings(record, identity) and list(record["read"]) != list(identity.read):
        yield "the content of the data files it reads is another one"
