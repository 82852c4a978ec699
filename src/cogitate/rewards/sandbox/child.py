"""A started program as `SandboxProcess` sees it: pipes, resource limits, what its process tree uses, and its certain end.

Each level of isolation is a Child of its own: `bubblewrap.py`, `landlock.py`.
"""

from __future__ import annotations

import math
import os
import resource
import select
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox.limits import Limits

FIRST_UID, UID_SLOTS = 60600, 512  # a range no distribution hands out

BOOTSTRAP = (
    "import posix;posix.dup2({orders},3);posix.dup2({answers},4);posix.closerange(5,256);"
    "import marshal,builtins;channel=open(3,'rb',closefd=False);guest={{'__builtins__':dict(vars(builtins))}};"
    "exec(marshal.loads(channel.read(int.from_bytes(channel.read(8),'little'))),guest);guest['main'](channel)"
)
ENVIRONMENT = {
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "PATH": "/nonexistent",
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    "PYTHONHASHSEED": "0",  # the same program gives the same output every time
    "MALLOC_ARENA_MAX": "2",  # an arena for each thread would eat the address space
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Pipes:
    """The five pipes of a sandboxed process; our ends never block, and no other process of ours inherits any of them."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self.child_stdin, self.stdin = self._pipe()
        self.stdout, self.child_stdout = self._pipe()
        self.stderr, self.child_stderr = self._pipe()
        self.child_orders, self.orders = self._pipe()
        self.answers, self.child_answers = self._pipe()
        for descriptor in (self.stdin, self.stdout, self.stderr, self.orders, self.answers):
            os.set_blocking(descriptor, False)

    def child_ends(self) -> tuple[int, ...]:
        """In the order of the descriptors they become: 0 to 4."""
        return self.child_stdin, self.child_stdout, self.child_stderr, self.child_orders, self.child_answers

    def close_one(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        for descriptor in list(self._open):
            self.close_one(descriptor)

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        self._open.update(ends)
        return ends


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree uses now.

    Attributes:
        cpu_seconds: of all processes, with children they have waited for.
        starved_seconds: how long the process that suffered most was ready to run while the machine ran others.
    """

    cpu_seconds: float = 0.0
    starved_seconds: float = 0.0
    memory_bytes: int = 0
    disk_bytes: int = 0


class Child(ABC):
    """A started process and its descendants.

    Attributes:
        has_guest: whether the process has the guest's code already; others read it before their orders.
        orders: what the guest needs to confine itself.
        exit_descriptor: becomes readable when the started process has ended.
    """

    has_guest = False
    orders: dict[str, Any]

    def __init__(self, pipes: Pipes, limits: Limits, tests: int, packages: tuple[Path, ...]):
        self._ended: tuple[int, float] | None = None
        self.exit_descriptor = self._begin(pipes, limits, packages)
        for descriptor in pipes.child_ends():
            pipes.close_one(descriptor)
        self.orders = self._orders(limits, tests)

    @abstractmethod
    def _begin(self, pipes: Pipes, limits: Limits, packages: tuple[Path, ...]) -> int:
        """Start the interpreter, its descriptors 0 to 4 the pipes' child ends; returns `exit_descriptor`."""

    @abstractmethod
    def _orders(self, limits: Limits, tests: int) -> dict[str, Any]: ...

    @abstractmethod
    def usage(self) -> Usage:
        """Measured now; zero for what has ended."""

    @abstractmethod
    def _kill(self) -> None:
        """Kill every process of the tree; those that are ours to reap are reaped by `end`."""

    @abstractmethod
    def _reap(self) -> tuple[int, float]:
        """Wait status and processor seconds of the started process, which has ended or is about to."""

    @abstractmethod
    def _give_back(self) -> None:
        """Release what was held for this child: a user id, a directory."""

    def end(self) -> tuple[int, float]:
        """Kill what still lives, reap it, and return its exit code (128 + signal) and processor seconds."""
        if self._ended is None:
            try:
                self._kill()
                status, seconds = self._reap()
            except BaseException:
                self._ended = (128 + signal.SIGKILL, 0.0)  # nothing more can be done; a second call does nothing
                raise
            finally:
                os.close(self.exit_descriptor)
                self._give_back()
            code = os.waitstatus_to_exitcode(status)
            self._ended = (code if code >= 0 else 128 - code, seconds)
        return self._ended

    def _has_exited(self, seconds: float = 0.0) -> bool:
        return is_readable(self.exit_descriptor, seconds)


class OwnChild(Child):
    """A started process that is a child of ours."""

    def _begin(self, pipes: Pipes, limits: Limits, packages: tuple[Path, ...]) -> int:
        self._process = self._spawn(pipes, limits, packages)
        return os.pidfd_open(self._process.pid)

    @abstractmethod
    def _spawn(self, pipes: Pipes, limits: Limits, packages: tuple[Path, ...]) -> subprocess.Popen[bytes]:
        """Start the interpreter with BOOTSTRAP, its descriptors 0 to 4 the pipes' child ends."""

    def _reap(self) -> tuple[int, float]:
        _, status, spent = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return status, spent.ru_utime + spent.ru_stime


def spawn(
    command: Iterable[str],
    pipes: Pipes,
    environment: dict[str, str],
    *,
    keep: tuple[int, ...] = (),
    cwd: str = "/",
    new_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start an interpreter's command line with the bootstrap, which gives the guest's code its channels.

    Args:
        keep: further descriptors the command inherits under their own numbers.
    """
    bootstrap = BOOTSTRAP.format(orders=pipes.child_orders, answers=pipes.child_answers)
    return subprocess.Popen(
        [*command, "-c", bootstrap],
        stdin=pipes.child_stdin,
        stdout=pipes.child_stdout,
        stderr=pipes.child_stderr,
        pass_fds=(pipes.child_orders, pipes.child_answers, *keep),
        env=environment,
        cwd=cwd,
        start_new_session=new_session,
    )


def take_uid() -> tuple[int, socket.socket]:
    """A user id that no other sandbox of this machine uses, and the lock to close when it is free again.

    The lock is an abstract socket's name: the kernel drops it with the process that holds it, and no file is left.
    """
    start = os.getpid() * 7919
    for step in range(UID_SLOTS):
        uid = FIRST_UID + (start + step) % UID_SLOTS
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0cogitate-sandbox-{uid}")
            return uid, lock
        except OSError:
            lock.close()
    raise SandboxUnavailableError(f"{UID_SLOTS} sandboxes are running already; wait for some to end")


def common_rlimits(limits: Limits, tests: int) -> list[tuple[int, int, int]]:
    """Limits the kernel holds for each process: a net under the watch, which sees the whole tree."""
    cpu = math.ceil(limits.cpu_seconds * tests) + 1
    values = {
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    return [(kind, *_at_most(value, resource.getrlimit(kind)[1])) for kind, value in values.items()]


def _at_most(value: int, hard: int) -> tuple[int, int]:
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return limit, limit


def usage_of(processes: Iterable[Path], memory_limit: int) -> Usage:
    """Sum over processes, given by their directories in some /proc.

    Resident memory counts pages that several processes share once for each; only where that exceeds the limit is the
    exact share (PSS), which costs more to find out, asked for.
    """
    ticks, pages, starved, alive = 0, 0, 0.0, []
    for directory in processes:
        try:
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
        pages += int(fields[21])
        starved = max(starved, _starved_seconds(directory))
        alive.append(directory)
    memory = pages * resource.getpagesize()
    if memory > memory_limit and len(alive) > 1:
        memory = sum(map(_proportional_memory, alive))
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), starved, memory)


def _starved_seconds(directory: Path) -> float:
    """Time a process stood ready on a run queue; 0 where the kernel does not keep count."""
    try:
        return int((directory / "schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _proportional_memory(directory: Path) -> int:
    """The PSS of a process in bytes; its resident memory where the kernel does not tell us; 0 where it has ended."""
    try:
        for line in (directory / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return int((directory / "statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def processes_of_this_user() -> int:
    """Threads of all processes of this user."""
    own, count = os.geteuid(), 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == own:
                count += len(os.listdir(entry / "task"))
        except OSError:
            continue
    return count


def is_readable(descriptor: int, seconds: float = 0.0) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
