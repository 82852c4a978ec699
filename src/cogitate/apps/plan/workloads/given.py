"""What a user gives, as far as it can be seen without fetching or loading it: a model's shape, the number of rows of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cogitate.apps.plan.models import find_shape, shape_of_config
from cogitate.config import Config, ZeroRLConfig
from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError
from cogitate.model.files.hub import PYPI_PREFIX, is_hub_id
from cogitate.recipe.models import place_in_cache
from cogitate.recipe.probe.proposal import with_proposals
from cogitate.recipe.run_directory.store import MANIFEST
from cogitate.recipe.stage import Stage
from cogitate.rewards.ensemble import read_ensemble
from cogitate.types import Artifact

CONFIGS = ("config.json", "helpfulness/config.json")  # of a model, of reward models
DATA = ("data.parquet", "preferences.parquet")  # of an artifact: conversations, pairs


def given_model(name: str, said: str) -> tuple[Shape, str]:
    """The shape of the model that `inputs.NAME=SAID` gives, and a note where it is only known by its name.

    Raises:
        ConfigError: nothing of it is here, or its config.json cannot be used.
    """
    place = place_in_cache(said) if said.startswith(PYPI_PREFIX) else Path(said)
    path = next((place / config for config in CONFIGS if (place / config).is_file()), None)
    if path is None and is_hub_id(said):
        path = config_of_hub(said)
        if path is None:
            return known_by_name(name, said)
    if path is None:
        why = "not fetched yet" if said.startswith(PYPI_PREFIX) else "no config.json is there"
        raise ConfigError(f"inputs.{name}={said}: {why}; name a published model instead: --model NAME")
    try:
        return shape_of_config(path), ""
    except ConfigError as error:
        raise ConfigError(f"inputs.{name}={said}: {error}; or name a published model: --model NAME") from error


def members_given(path: Path) -> int:
    """Reward models that are read as one, of each kind, in an artifact of the stage reward_models."""
    return len(read_ensemble(path / "helpfulness")[0])


def known_by_name(name: str, said: str) -> tuple[Shape, str]:
    """The shape of a model of the hub that was not fetched yet."""
    try:
        shape, note = find_shape(said)
    except ConfigError as error:
        raise ConfigError(f"inputs.{name}: not fetched yet, and {error}; or give --model NAME") from error
    return shape, note or f"{said} has not been fetched: known by its name"


def config_of_hub(said: str) -> Path | None:
    """The config.json of a model of the hub that was fetched before."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(said, "config.json")
    return Path(found) if isinstance(found, str) else None


def rows_given(path: Path) -> int | None:
    """Rows of a file of data, or of an artifact of such; None where that cannot be seen."""
    file = path if path.is_file() else next((path / name for name in DATA if (path / name).is_file()), path)
    try:
        if file.suffix == ".parquet":
            from pyarrow.parquet import ParquetFile  # here, since few plans need it

            return int(ParquetFile(file).metadata.num_rows)
        if file.suffix == ".jsonl":
            with file.open("rb") as handle:
                return sum(bool(line.strip()) for line in handle)
    except (OSError, ValueError):  # what a run refuses, with a better message
        return None
    return None


def with_known_proposals(config: Config, graph: Sequence[Stage], run: Path | None = None) -> Config:
    """The settings with what probes have proposed, where their proposals are given or were made in this run.

    Raises:
        ArtifactError: a proposal cannot be used.
    """
    known: dict[str, Artifact] = {}
    for stage in graph:
        path = Path(config.inputs[stage.name]) if stage.name in config.inputs else run / stage.name if run else None
        if stage.kind.makes == "proposal" and path is not None and (stage.name in config.inputs or (path / MANIFEST).is_file()):
            known[stage.name] = Artifact(stage.name, "", path)
    filled = with_proposals(config, graph, known)
    settled = {
        stage.name: filled.section(stage.name, ZeroRLConfig).model_copy(update={"from_probe": ()})
        for stage in graph
        if stage.has(ZeroRLConfig) and known.keys() & set(stage.needs)
    }
    return filled.model_copy(update=settled) if settled else config
