"""Functions of a user's own, written FILE.py:FUNCTION. They are loaded in confined worker processes alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cogitate.errors import ConfigError


def load_function(setting: str, location: str) -> Callable[..., Any]:
    """The function named by "file.py:function".

    Args:
        setting: the key that names it, for messages.

    Raises:
        ConfigError: no such file or function, or the file cannot be run.
    """
    file, _, name = location.rpartition(":")
    path = Path(file)
    if not name or not path.is_file():
        raise ConfigError(f"{setting} = {location!r}: write it as file.py:function, the file must exist")
    spec = importlib.util.spec_from_file_location("cogitate_user_function", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{setting} = {location!r}: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{setting} = {location!r}: {file} fails: {type(error).__name__}: {error}") from error
    function: Callable[..., Any] | None = getattr(module, name, None)
    if function is None or not callable(function):
        raise ConfigError(f"{setting} = {location!r}: {file} has no function {name}")
    return function
