"""What a model was trained on, as far as it lies in files: of a run, of a recipe, or named file by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.errors import DataError
from cogitate.evals.benchmarks.contamination import TrainingText
from cogitate.recipe.models import read_config
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import load_recipe
from cogitate.tasks.files.datasets import data_file
from cogitate.tasks.mixture import is_path, names_in, paths_in

MIXTURES = ("train", "general")  # keys of tasks
ROWS = (".jsonl", ".parquet")
DATA = "data.parquet"  # of an artifact
TRAINED_ON = ("tasks", "inputs", "preferences", "teacher")  # sections of a run's settings that may name files


def read_training_text(names: Sequence[str]) -> TrainingText:
    """The files of everything that is named: a run directory, a recipe (a name or a TOML file), a .jsonl or .parquet file.

    Raises:
        DataError: a name is none of these, a file that is named here is missing, or nothing that is named has a data file.
        ConfigError: a recipe cannot be read.
    """
    files: list[Path] = []
    missing: list[Path] = []
    generated: list[str] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            settings = read_config(path)
            named = list(files_of_settings(settings))
            files += [*sorted(path.glob(f"*/{DATA}")), *filter(Path.is_file, named), *filter(Path.is_file, [path / DATA])]
            missing += [file for file in named if not file.is_file()]
            generated += generated_in(str(settings.get("tasks", {}).get("train", "")))
        elif path.suffix in ROWS:
            files.append(path)
        else:
            config = load_recipe(name)
            files += files_of_recipe(config)
            generated += generated_in(config.tasks.train)
    absent = next((path for path in files if not path.is_file()), None)
    if absent is not None:
        raise DataError(f"{absent}: no such file to compare with the benchmarks")
    if not files:
        if missing:
            raise DataError(f"--training-data {', '.join(names)}: its data files are not there, e.g. {missing[0]}")
        raise DataError(
            f"--training-data {', '.join(names)}: no data file in it: nothing to compare (tasks that programs make: "
            f"{', '.join(generated) or 'none'})"
        )
    return TrainingText(tuple(dict.fromkeys(files)), tuple(dict.fromkeys(generated)), tuple(dict.fromkeys(missing)))


def files_of_settings(settings: dict[str, Any]) -> Iterator[Path]:
    """The data files that a run's settings name, there or not; relative ones from here: a run does not record where it was
    started."""
    for section in TRAINED_ON:
        for key, value in (settings.get(section) or {}).items():
            if isinstance(value, str) and key != "eval":
                names = [name.strip() for name in value.split(",")]
                of_mixture = section == "tasks" and key in MIXTURES
                yield from (data_file(name) for name in names if name.endswith(ROWS) or (of_mixture and is_path(name)))


def files_of_recipe(config: Config) -> list[Path]:
    """The data files that the recipe's stages read, those of the evaluation aside."""
    measured = {*paths_in(config.tasks.eval, empty=True), *paths_in(config.evaluate.further, empty=True)}
    read = [path for stage in graph_of(config) for path in stage.files(config)]
    return [path for path in dict.fromkeys(read) if path.suffix in ROWS and path not in measured]


def generated_in(spec: str) -> list[str]:
    """The tasks of a mixture that have no file."""
    paths = {str(path) for path in paths_in(spec, empty=True)}
    return [name for name in names_in(spec, empty=True) if name not in paths]
