"""The model a user means: a directory, a stage of a run, the one that is shipped, or one of the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cogitate.errors import ArtifactError
from cogitate.model.files.hub import is_hub_id, resolve_model
from cogitate.recipe.run_directory.store import MANIFEST, SHIPPED, verify

BASE = "base"


def find_model(name: str) -> Path:
    """The directory of a model: `base` is the shipped one (a directory of that name is `./base`), anything else a path, or
    OWNER/NAME of the hub where there is no such path.

    Raises:
        ArtifactError: it is not there, is a whole run (its models are named), or is a stage's artifact that is damaged.
        CheckpointError: it is written like a model of the hub, which cannot give it.
    """
    path = SHIPPED / BASE if name == BASE else resolve_input(name)
    if path.is_file():
        raise ArtifactError(f"{name}: a file; give a model directory (`cogitate import` makes one of a .gguf file)")
    if not path.is_dir():
        if name == BASE:
            raise ArtifactError(
                "base: no base model is shipped with this package; give a model directory (one called base: ./base)"
            )
        raise ArtifactError(
            f"{name}: no such directory; give a model directory, a run's stage (runs/tiny/r1_zero), OWNER/NAME or base"
        )
    if (path / MANIFEST).is_file():
        verify(path)
    elif "graph" in read_config(path):
        models = [str(stage) for stage in sorted(path.iterdir()) if "model_type" in read_config(stage)]
        raise ArtifactError(f"{name}: a run, not a model; its models are: {', '.join(models) or 'none yet'}")
    return path


def resolve_input(name: str) -> Path:
    """A path, fetched where none exists and `name` is written like a model of the hub. Raises what resolve_model does."""
    return resolve_model(name) if is_hub_id(name) and not Path(name).exists() else Path(name)


def read_config(directory: Path) -> dict[str, Any]:
    """The contents of config.json, {} where there is no readable one."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
