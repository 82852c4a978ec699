"""Functions of a user's own, written FILE.py:FUNCTION. They are loaded in confined worker processes alone."""

from __future__ import annotations

import importlib.util
import sys
import zlib
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
    if not name or not Path(file).is_file():
        raise ConfigError(f"{setting} = {location!r}: write it as file.py:function, the file must exist")
    try:
        return run_file(Path(file), name)
    except ConfigError as error:
        raise ConfigError(f"{setting} = {location!r}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{setting} = {location!r}: {file} fails: {type(error).__name__}: {error}") from error


def run_file(file: Path, name: str) -> Callable[..., Any]:
    """The function of this name that a file defines.

    Raises:
        ConfigError: the file is no Python file, or has no such function.
        Exception: whatever running the file raises.
    """
    spec = importlib.util.spec_from_file_location(f"user_file_{zlib.crc32(str(file.resolve()).encode()):08x}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as an import does: dataclasses look their module up there
    spec.loader.exec_module(module)
    function: Callable[..., Any] | None = getattr(module, name, None)
    if function is None or not callable(function):
        raise ConfigError(f"{file} has no function {name}")
    return function
