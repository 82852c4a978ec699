"""Which problems a recipe trains and is measured on: tasks by name, users' own by path or function, mixed as one likes."""

from __future__ import annotations

import difflib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cogitate.config.user_files import is_function
from cogitate.errors import ConfigError
from cogitate.tasks.common import Split, Task, draw_problems
from cogitate.tasks.files.decontaminate import split_by_template
from cogitate.tasks.files.jsonl import load_problems
from cogitate.tasks.general import general, safety
from cogitate.tasks.generators import arithmetic, choice, code, logic, word_problems
from cogitate.tasks.generators.gym import PREFIX, gym_problems, is_gym
from cogitate.tasks.generators.user_function import file_of, function_problems
from cogitate.tasks.puzzles import countdown, find_x, knights, long_sums, programs
from cogitate.types import Problem

PUZZLES = (countdown, find_x, knights, programs, long_sums)
BUILT_IN: dict[str, Task] = {
    module.TASK.name: module.TASK for module in (arithmetic, word_problems, code, logic, choice, general, safety, *PUZZLES)
}


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Files that training and evaluation share: which of their rows are whose.

    Attributes:
        share: of their number-masked templates, for evaluation.
        seed: decides which; the same for every seed of a run.
    """

    paths: tuple[Path, ...] = ()
    share: float = 0.0
    seed: int = 0

    def side(self, path: Path, split: Split) -> list[Problem]:
        """The problems of a file that a split may use: of one that is not shared, all. Raises DataError as load_problems."""
        problems = load_problems(path)
        if path not in self.paths:
            return problems
        train, evaluation = split_by_template(problems, lambda problem: problem.question, self.share, seed=self.seed)
        return evaluation if split == "eval" else train


NOTHING_HELD_OUT = HeldOut()


def names_in(spec: str, *, empty: bool = False) -> list[str]:
    """The parts of "arithmetic,logic,mine.jsonl"; with `empty` there may be none.

    Raises:
        ConfigError: nothing is named, a file or function is named twice, or a name is neither a built-in task, nor of
            reasoning-gym, nor a path, nor a function.
    """
    names = [name.strip() for name in spec.split(",") if name.strip()]
    if not names and not empty:
        raise ConfigError(
            "tasks: no task is named; give names of built-in tasks, paths of .jsonl or .parquet files, or FILE.py:FUNCTION"
        )
    for name in names:
        if name.endswith(".py"):
            raise ConfigError(f"tasks: {name} is a Python file: name its function, {name}:FUNCTION")
        if names.count(name) > 1 and (is_function(name) or is_path(name)):
            raise ConfigError(f"tasks: {name} is named twice in {spec!r}, which would repeat its problems; name it once")
        if name not in BUILT_IN and not is_gym(name) and not is_function(name) and not is_path(name):
            nearest = difflib.get_close_matches(name, BUILT_IN, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"tasks: no task is called {name!r}; did you mean {nearest}? A file's name ends in .jsonl or .parquet, a "
                "function is written FILE.py:FUNCTION, a task of reasoning-gym begins with gym:"
            )
    return names


def is_path(name: str) -> bool:
    return not is_gym(name) and not is_function(name) and (name.endswith((".jsonl", ".parquet")) or "/" in name)


def paths_in(spec: str, *, empty: bool = False) -> list[Path]:
    """The data files of a mixture."""
    return [Path(name) for name in names_in(spec, empty=empty) if is_path(name)]


def functions_in(spec: str, *, empty: bool = False) -> list[str]:
    """The users' functions of a mixture."""
    return [name for name in names_in(spec, empty=empty) if is_function(name)]


def files_in(spec: str, *, empty: bool = False) -> list[Path]:
    """All files that a mixture is made from: data and the files of functions."""
    return [*paths_in(spec, empty=empty), *map(file_of, functions_in(spec, empty=empty))]


def share_of(names: Sequence[str], count: int) -> int:
    """How many of `count` problems a file, a generator of reasoning-gym or a user's function is asked for."""
    return count // len(names)


def gather_problems(
    spec: str,
    count: int,
    *,
    split: Split,
    seed: int,
    without: Sequence[str] = (),
    gym: Mapping[str, Mapping[str, Any]] | None = None,
    held_out: HeldOut = NOTHING_HELD_OUT,
) -> list[Problem]:
    """The problems of a mixture.

    Args:
        spec: tasks.train or tasks.eval.
        count: how many in all, in equal shares of the parts. A file that has fewer than its share gives all it has; the
            train split takes files whole.
        without: tasks to leave out.
        gym: settings of reasoning-gym's generators by their names.
        held_out: the files of which each split gets its own rows alone.

    Raises:
        ConfigError: a name or a generator's setting is unknown, or there are fewer problems than parts.
        DataError: a file cannot be used.
    """
    names = [name for name in names_in(spec) if name not in without]
    if not names:
        raise ConfigError(f"tasks: nothing is left of {spec!r} without {', '.join(without)}")
    if count < len(names):
        raise ConfigError(f"tasks: {count} problems cannot be shared out over {len(names)} tasks; ask for more problems")
    built_in = [BUILT_IN[name] for name in names if name in BUILT_IN]
    paths = [name for name in names if is_path(name)]
    gyms = [name for name in names if is_gym(name)]
    functions = [name for name in names if is_function(name)]
    share = share_of(names, count)
    of_built_in = count - share * (len(names) - len(built_in))
    problems = list(_drawn(tuple(built_in), of_built_in, split, seed)) if built_in else []
    for name in gyms:
        problems += gym_problems(name, (gym or {}).get(name.removeprefix(PREFIX), {}), share, split=split, seed=seed)
    for name in functions:
        problems += function_problems(name, share, split=split, seed=seed)
    for number, path in enumerate(paths):
        loaded = held_out.side(Path(path), split)
        if split == "eval" and len(loaded) > share:
            loaded = random.Random(f"{seed}/{split}/file {number}").sample(loaded, share)
        problems += loaded
    return problems


@lru_cache(maxsize=4)
def _drawn(tasks: tuple[Task, ...], count: int, split: Split, seed: int) -> tuple[Problem, ...]:
    """Problems of built-in tasks, drawn once: every stage asks for the same."""
    return tuple(draw_problems(tasks, count, split=split, seed=seed))
