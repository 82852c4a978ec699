"""The user's own code that a recipe names, as "FILE.py:FUNCTION". Nothing of it is imported here."""

from __future__ import annotations

import ast
from pathlib import Path

from cogitate.config.config import Config
from cogitate.errors import ConfigError


def reward_functions(config: Config) -> dict[str, str]:
    """Setting -> the function that it names, of those that rewards come from."""
    parts = {f"rewards.parts.{name}.file": part.file for name, part in config.rewards.parts.items()}
    named = {"rewards.custom": config.rewards.custom, **parts}
    return {key: code for key, code in named.items() if code}


def is_function(name: str) -> bool:
    """Whether a task's name is a function of a Python file."""
    return ".py:" in name


def user_files(config: Config) -> list[tuple[str, str]]:
    """(setting, function) of all that name one; a setting of problems may name several."""
    tasks = config.tasks
    named = {
        "tasks.train": tasks.train, "tasks.eval": tasks.eval, "tasks.general": tasks.general,
        "evaluate.further": config.evaluate.further,
    }  # fmt: skip
    problems = [(key, name.strip()) for key, spec in named.items() for name in spec.split(",") if is_function(name)]
    return [*reward_functions(config).items(), *problems]


def check_functions(config: Config) -> None:
    """Refuse a function that its file does not name, before a stage spends time. Files are read and not run.

    Raises:
        ConfigError: there is no such file or function, or the file is not Python.
    """
    for key, code in user_files(config):
        file, _, function = code.rpartition(":")
        if not file or not Path(file).is_file():
            raise ConfigError(f"{key} = {code!r}: there is no file {file}; write FILE.py:FUNCTION")
        try:
            names = names_bound(ast.parse(Path(file).read_bytes(), file))
        except (SyntaxError, ValueError) as error:  # a ValueError is a zero byte
            place = f"{file}, line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else f"{file}: {error}"
            raise ConfigError(f"{key} = {code!r}: {place}") from error
        if not {function, "*"} & names:
            raise ConfigError(f"{key} = {code!r}: {file} has no function {function}")


def names_bound(tree: ast.Module) -> set[str]:
    """Every name that a module binds anywhere; "*" where it imports names that its text does not say."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add(asname or name)
    return names
