"""The user's own code that a recipe would run."""

from __future__ import annotations

import ast
from pathlib import Path

from cogitate.config.config import Config
from cogitate.errors import ConfigError


def user_files(config: Config) -> dict[str, str]:
    """The settings that name Python code of the user, as "file.py:function"; nothing of it is imported here."""
    parts = {f"rewards.parts.{name}.file": part.file for name, part in config.rewards.parts.items()}
    named = {"rewards.custom": config.rewards.custom, **parts}
    return {key: code for key, code in named.items() if code}


def check_functions(config: Config) -> None:
    """Refuse a function that its file does not name, before a stage spends time. Files are read and not run.

    Raises:
        ConfigError: there is no such file or function, or the file is not Python.
    """
    for key, code in user_files(config).items():
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
