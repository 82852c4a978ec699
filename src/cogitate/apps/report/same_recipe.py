"""Which runs may be pooled: those whose settings differ by their seed alone. All others can only be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cogitate.apps.report.data import Run, load_runs
from cogitate.config import flatten
from cogitate.errors import ArtifactError, ConfigError
from cogitate.recipe.settings import make_config

SEED = "seed"
NAMED = 3  # settings that a refusal names


def load_seeds(directories: Sequence[Path]) -> list[Run]:
    """Runs of one recipe, each with a seed of its own.

    Raises:
        ArtifactError: what `load_runs` raises, a directory given twice, two runs with other settings, or one seed twice.
    """
    refuse_repeats(directories)
    runs = load_runs(directories)
    for run in runs[1:]:
        hint = f"`cogitate compare {' '.join(str(each.path) for each in runs)}` shows them side by side"
        if not (run.settings and runs[0].settings):
            bare = run if not run.settings else runs[0]
            raise ArtifactError(f"{bare.path}: no config.json, so nobody knows whether it can be pooled with others; {hint}")
        others = [key for key in differing_settings([runs[0], run]) if key != SEED]
        if others:
            named = ", ".join(others[:NAMED]) + (f" and {len(others) - NAMED} more" if len(others) > NAMED else "")
            raise ArtifactError(
                f"{runs[0].path} and {run.path} are not two seeds of one recipe: they differ in {named}; a mean of them would "
                f"mean nothing; {hint}"
            )
    by_seed: dict[int, Run] = {}
    for run in runs:
        if run.seed in by_seed:
            raise ArtifactError(f"{by_seed[run.seed].path} and {run.path} have the same settings and seed: give one of them")
        by_seed[run.seed] = run
    return runs


def refuse_repeats(directories: Sequence[Path]) -> None:
    """A run counts once, whatever links lead to it."""
    seen: dict[Path, Path] = {}
    for directory in map(Path, directories):
        real = directory.resolve()
        if real in seen:
            twice = (
                f"{directory}: given twice" if seen[real] == directory else f"{seen[real]} and {directory}: the same directory"
            )
            raise ArtifactError(f"{twice}; a run counts once")
        seen[real] = directory


def differing_settings(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Settings that can change a result and are not equal in all runs: dotted key -> the value in each run, None where it has
    no such setting."""
    identities = [identity_of(run.settings) for run in runs]
    if any(identity is None for identity in identities):  # of a version whose settings were others: all keys count
        flat = [flatten(run.settings) for run in runs]
        identities, shown = list(flat), flat
    else:
        shown = [flatten(make_config(run.settings).model_dump(mode="json")) for run in runs]
    keys = dict.fromkeys(key for identity in identities if identity is not None for key in identity)
    values = {key: [settings.get(key) for settings in shown] for key in keys}
    return {key: row for key, row in values.items() if any(value != row[0] for value in row)}


def identity_of(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings that can change a result, by dotted key; None where this version cannot read them."""
    try:
        return flatten(make_config(settings).identity())
    except (ValidationError, ConfigError):
        return None
