"""What a run is given from Python, as files in its directory: from there resume, status and the command line read them.

OUT/given/problems.jsonl, OUT/given/evaluation.jsonl    lists of problems, one a line, keys sorted
OUT/given/reward.py                                     a function, with all that it reads
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.errors import ConfigError, DataError
from cogitate.front_door.own_function import module_by_name, module_text
from cogitate.json_lines import shown
from cogitate.recipe.run_directory.lock import hold_run
from cogitate.runtime import atomic_write

FOLDER = "given"
Problems = Sequence[Mapping[str, Any]] | str | Path
Reward = Callable[[str, Mapping[str, Any]], float]


class Given:
    """Files to be written, and the settings that name them.

    Args:
        out: the run directory.
        problems, evaluation: rows as in a file of problems, or what `tasks.train` and `tasks.eval` may be.
        reward: judges problems of kind custom; rows without a kind are then of that kind.
        identity: "module:function" of a function that can be imported, in place of its source.

    Attributes:
        files: name in OUT/given -> its text.
        settings: dotted key -> value.

    Raises:
        ConfigError, DataError: a row or the function cannot be written, or the function would judge nothing.
    """

    def __init__(
        self,
        out: Path,
        *,
        problems: Problems | None,
        evaluation: Problems | None,
        reward: Reward | None,
        identity: str | None,
    ):
        self._folder = out.absolute() / FOLDER
        self.files: dict[str, str] = {}
        self.settings: dict[str, Any] = {}
        has_reward = reward is not None or identity is not None
        for name, key, rows in (("problems", "tasks.train", problems), ("evaluation", "tasks.eval", evaluation)):
            if isinstance(rows, str | Path):
                self.settings[key] = str(rows)
            elif rows is not None:
                self._add(f"{name}.jsonl", rows_text(rows, name, custom=has_reward))
                self.settings[key] = self._place(f"{name}.jsonl")
        if has_reward:
            check_use(problems, evaluation)
            text, function = module_text(reward) if identity is None and reward is not None else named(identity, reward)
            self._add("reward.py", text)
            self.settings["rewards.custom"] = f"{self._place('reward.py')}:{function}"

    def write(self, out: Path) -> None:
        """Write the files.

        Raises:
            ConfigError: the run was started with others, or `out` cannot be a run directory.
            RunInUseError: another process works in `out`.
        """
        if not self.files:
            return
        with hold_run(out):
            for name, text in self.files.items():
                path = self._folder / name
                same = path.is_file() and path.read_bytes() == text.encode()
                if not same and (out / "config.json").exists():
                    known = "with another" if path.is_file() else "without"
                    raise ConfigError(f"{out} was started {known} {FOLDER}/{name}: use another out")
                if not same:
                    path.parent.mkdir(exist_ok=True)
                    with atomic_write(path) as temporary:
                        temporary.write_bytes(text.encode())

    def _add(self, name: str, text: str) -> None:
        self.files[name] = text

    def _place(self, name: str) -> str:
        path = str(self._folder / name)
        if "," in path:
            raise ConfigError(f"out = {str(self._folder.parent)!r}: a comma separates tasks; use a path without one")
        return path


def named(identity: str | None, reward: Reward | None) -> tuple[str, str]:
    """The module of a function known by its name."""
    assert identity is not None
    return module_by_name(identity, reward)


def rows_text(rows: Sequence[Mapping[str, Any]], name: str, *, custom: bool) -> str:
    """Rows as JSON Lines; equal rows give equal bytes.

    Args:
        name: of the argument, for messages.
        custom: rows without a kind are of kind custom.

    Raises:
        DataError: a row is not JSON: names it by its index from 0.
    """
    lines = []
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"{name}[{index}]: a row is a mapping with a question, got {shown(row)}")
        whole = {**({"kind": "custom"} if custom else {}), **row}
        check_keys(whole, f"{name}[{index}]")
        try:
            line = json.dumps(whole, ensure_ascii=False, sort_keys=True, allow_nan=False)
            line.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise DataError(f"{name}[{index}]: not JSON: {error}") from error
        lines.append(f"{line}\n")
    if not lines:
        raise DataError(f"{name}: no row in it; give rows with a question and an answer")
    return "".join(lines)


def check_keys(value: Any, place: str) -> None:
    """Refuse keys that JSON would turn into texts."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise DataError(f"{place}: the key {shown(key)} is not a text")
            check_keys(inner, place)
    elif isinstance(value, list | tuple):
        for inner in value:
            check_keys(inner, place)


def check_use(*given: Problems | None) -> None:
    """Refuse a reward without a row that it judges. What a file holds is checked where it is read."""
    if all(rows is None for rows in given):
        raise ConfigError("reward: judges nothing without problems of your own: give problems=[...], or evaluation=[...]")
    kinds: set[Any] = set()
    for rows in given:
        if isinstance(rows, str | Path):
            return
        kinds |= {row.get("kind", "custom") for row in rows or ()}
    if "custom" not in kinds:
        raise ConfigError(f"reward: judges nothing: all rows are of kind {', '.join(sorted(map(str, kinds)))}, none of custom")
