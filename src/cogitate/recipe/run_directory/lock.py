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
_HELD: dict[tuple[int, int], int] = {}
"""Device and inode of a lock file that is held -> the process that holds it: forked ones inherit the table and no lock."""


@contextmanager
def hold_run(out: Path, *, known: bool = False) -> Iterator[None]:
    """Create the run directory if need be and hold it exclusively.

    A POSIX record lock: it vanishes with the process however that ends, and neither forked nor started children inherit it. It
    belongs to the process, which lets go of it by closing the file once, however often it has opened it: see `_HELD`.

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
        if is_held_here(out / LOCK):
            raise RunInUseError(f"{out}: in use by process {os.getpid()}; wait for it or stop it")
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
    key = key_of(os.fstat(descriptor))
    try:
        if not try_lock(descriptor):
            raise RunInUseError(f"{place}: in use by process {read_pid(place)}; {remedy}")
        _HELD[key] = os.getpid()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        _HELD.pop(key, None)
        os.close(descriptor)


def holder(out: Path) -> str | None:
    """The pid of the process working in a run directory, or None where none does."""
    if is_held_here(out / LOCK):
        return str(os.getpid())
    try:
        descriptor = os.open(out / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no run yet, or a directory we may only read
        return None
    try:
        return None if try_lock(descriptor) else read_pid(out)
    finally:
        os.close(descriptor)


def is_held_here(lock: Path) -> bool:
    """Whether this very process holds it."""
    try:
        return _HELD.get(key_of(lock.stat())) == os.getpid()
    except OSError:  # not there
        return False


def key_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


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
