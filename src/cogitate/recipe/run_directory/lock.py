"""One process at a time works in a run directory."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cogitate.errors import ConfigError, RunInUseError
from cogitate.recipe.run_directory.failed_start import CONFIG
from cogitate.runtime import is_disk_full

LOCK = "lock"


@contextmanager
def hold_run(out: Path, *, known: bool = False) -> Iterator[None]:
    """Create the run directory if need be and hold it exclusively.

    A POSIX record lock: it vanishes with the process however that ends, and neither forked nor started children inherit it.

    Args:
        known: what is there is ours, although it may be no run's.

    Raises:
        RunInUseError: another live process holds it; the message names its pid.
        ConfigError: `out` cannot be a run directory.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not (known or (out / LOCK).exists() or has_settings_of_a_run(out)) and any(out.iterdir()):
            raise ConfigError(f"--out {out}: not empty, and no run directory; name a new one")
        descriptor = os.open(out / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise ConfigError(f"--out {out}: cannot be used as a directory: {error.strerror}") from error
    with holding(descriptor, out, "wait for it or stop it"):
        yield


def has_settings_of_a_run(out: Path) -> bool:
    """As a copy of a run has that lacks the lock."""
    try:
        return "graph" in json.loads((out / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):  # none, or of something else
        return False


@contextmanager
def holding(descriptor: int, place: Path, remedy: str) -> Iterator[None]:
    """Hold the open lock file of a directory, with this process's pid in it, and close it at the end.

    Args:
        remedy: what to do where another process holds it.

    Raises:
        RunInUseError: one does; the message names its pid.
    """
    try:
        if not try_lock(descriptor):
            raise RunInUseError(f"{place}: in use by process {read_pid(place)}; {remedy}")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(out: Path) -> str | None:
    """The pid of the process working in a run directory, or None where none does."""
    try:
        descriptor = os.open(out / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no run yet, or a directory we may only read
        return None
    try:
        return None if try_lock(descriptor) else read_pid(out)
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Whether the lock could be had; it is given back when the descriptor is closed."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def read_pid(out: Path) -> str:
    """What the holder wrote, waiting a moment for one that is only just writing."""
    for _ in range(20):
        pid = (out / LOCK).read_text().strip()
        if pid:
            return pid
        time.sleep(0.05)
    return "(unknown)"
