"""Which files an interpreter needs to read: itself, the standard library, shared libraries."""

from __future__ import annotations

import sys
import sysconfig
from functools import lru_cache
from pathlib import Path


def interpreter_command() -> tuple[str, ...]:
    """The interpreter without site packages, user site, current directory or byte-code files."""
    return (str(interpreter()), "-S", "-s", "-P", "-B")


@lru_cache(maxsize=1)
def interpreter() -> Path:
    """The interpreter this virtual environment was made from."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()


@lru_cache(maxsize=1)
def library_paths() -> tuple[Path, ...]:
    """What an interpreter needs to read: itself, its library directory, the system's shared libraries and time zones."""
    own = [interpreter(), Path(sys.base_prefix) / "lib"]
    if sys.base_prefix == "/usr":
        own = [interpreter(), Path(sysconfig.get_path("stdlib"))]
    architecture = sysconfig.get_config_var("MULTIARCH") or ""
    narrow = Path("/usr/lib") / architecture
    shared = narrow if architecture and narrow.is_dir() else Path("/usr/lib")
    system = [Path("/lib"), Path("/lib64"), Path("/usr/lib64"), shared]
    found = [path for path in (*system, *own, Path("/usr/share/zoneinfo")) if path.exists()]
    if Path("/lib").exists() and not Path("/lib").is_symlink() and architecture:
        found[0] = Path("/lib") / architecture
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=1)
def hidden_paths() -> tuple[Path, ...]:
    """Packages installed beside the standard library: a program gets only those that are named."""
    library = Path(sysconfig.get_path("stdlib"))
    return tuple(path for path in (library / "site-packages", library / "dist-packages") if path.is_dir())
