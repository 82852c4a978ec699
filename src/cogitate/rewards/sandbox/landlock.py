"""The second level: Landlock + seccomp + rlimits, for machines where no namespace can be made; and no isolation at all.

A program gets an empty directory of its own and may read the standard library and nothing else. It is one process: it may
start threads, but no other process and no other program. What this level cannot promise, beside the first:

- subprocess, multiprocessing and os.fork do not work; neither do directories, links, chmod and deleting files;
- no pid namespace: it may see that a path or process exists (`os.stat` is not Landlock's to refuse), but neither open the
  one nor signal the other;
- its files lie on the machine's disk until it ends, at most `disk_bytes` as the watch sees them; those it deletes by
  opening them without a name count only against the limits of one file and of open files;
- where the process that runs it is killed, it ends too, but its directory stays until the next process uses this level;
- as an ordinary user it has that user's id: the list of system calls is what keeps it from the user's other processes.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cogitate.rewards.sandbox import inside, seccomp
from cogitate.rewards.sandbox.child import (
    ENVIRONMENT,
    OwnChild,
    Pipes,
    Usage,
    common_rlimits,
    processes_of_this_user,
    spawn,
    take_uid,
    usage_of,
)
from cogitate.rewards.sandbox.interpreter import hidden_paths, interpreter_command, library_paths
from cogitate.rewards.sandbox.limits import Limits

DIRECTORY_PREFIX = "cogitate-sandbox-"  # then the process id of the owner
DIRECTORY_ENTRY_BYTES = 4096  # what an empty file is counted as


class UnconfinedChild(OwnChild):
    """rlimits, and as root another user id; only where somebody asked for it."""

    confined = False

    def _spawn(self, pipes: Pipes, limits: Limits, packages: tuple[Path, ...]) -> subprocess.Popen[bytes]:
        self._memory_limit = limits.memory_bytes
        self._packages = packages
        self._uid: int | None = None
        self._uid_lock: socket.socket | None = None
        remove_abandoned(tempfile.gettempdir())
        self._directory = tempfile.mkdtemp(prefix=f"{DIRECTORY_PREFIX}{os.getpid()}-")
        try:
            if os.geteuid() == 0:
                self._uid, self._uid_lock = take_uid()
                os.chown(self._directory, self._uid, self._uid)
                for descriptor in pipes.child_ends()[:3]:
                    os.fchown(descriptor, self._uid, self._uid)  # so that /dev/stdin and its like can be opened
            environment = {**ENVIRONMENT, "HOME": self._directory, "TMPDIR": self._directory}
            return spawn(interpreter_command(), pipes, environment, cwd=self._directory, new_session=True)
        except BaseException:  # Ctrl-C, too: without a process `end` is not called
            self._give_back()
            raise

    def _orders(self, limits: Limits, tests: int) -> dict[str, Any]:
        existing = 0 if self._uid is not None else processes_of_this_user()
        rlimits = common_rlimits(limits, tests)
        rlimits.append((resource.RLIMIT_NPROC, limits.processes + existing, limits.processes + existing))
        return {
            "rlimits": rlimits,
            "uid": self._uid,
            "init": False,
            "confine_source": inside.source("confine"),
            "path": [],
            "packages": [str(package) for package in self._packages if (package / "__init__.py").is_file()],
            "library": sysconfig.get_path("stdlib"),
            "parent": os.getpid(),
            "landlock": self._rules() if self.confined else None,
            "seccomp": seccomp.alone_filter(self._process.pid) if self.confined else None,
        }

    def _rules(self) -> list[tuple[str, str]]:
        own = [(str(package), "tree" if package.is_dir() else "read") for package in self._packages]
        return [*readable_rules(), *own, (self._directory, "work")]

    def usage(self) -> Usage:
        used = usage_of([Path(f"/proc/{self._process.pid}")], self._memory_limit)
        return replace(used, disk_bytes=bytes_in(self._directory))

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session of its own, and we have not reaped it yet

    def _give_back(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        if self._uid_lock is not None:
            self._uid_lock.close()


class LandlockChild(UnconfinedChild):
    """Landlock + seccomp + rlimits."""

    confined = True


@lru_cache(maxsize=1)
def readable_rules() -> tuple[tuple[str, str], ...]:
    """What any program may read: shared libraries and the standard library without the packages installed beside it."""
    library = Path(sysconfig.get_path("stdlib"))
    rules = [(str(library), "list")]
    for entry in sorted(library.iterdir()):
        if entry not in hidden_paths():
            rules.append((str(entry), "tree" if entry.is_dir() else "read"))
    for path in library_paths():
        real = path.resolve()
        if library != real and library not in real.parents and real not in library.parents:
            rules.append((str(real), "tree" if real.is_dir() else "read"))
    rules += [(device, "device") for device in ("/dev/null", "/dev/zero")]
    rules += [(device, "read") for device in ("/dev/urandom", "/dev/random")]
    return tuple(dict.fromkeys(rules))


@lru_cache(maxsize=4)
def remove_abandoned(parent: str) -> None:
    """Remove what killed processes of this user have left; once for each process."""
    for path in Path(parent).glob(f"{DIRECTORY_PREFIX}*-*"):
        owner = path.name.removeprefix(DIRECTORY_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                shutil.rmtree(path)


def bytes_in(directory: str) -> int:
    """Disk used by the files of a flat directory."""
    total = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            total += max(DIRECTORY_ENTRY_BYTES, entry.stat(follow_symlinks=False).st_blocks * 512)
    return total
