"""Tries to break each promise of a level, on this machine, now: a level whose promises do not all hold is not used.

The attacks are programs run in the sandbox itself. What they reach for is made here first (a listener, a secret file, an
open directory), so that each of them would succeed outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox.child import ENVIRONMENT, Child
from cogitate.rewards.sandbox.limits import MIB, Limits, RunResult
from cogitate.rewards.sandbox.process import SandboxProcess

LIMITS = Limits(
    cpu_seconds=5.0, wall_seconds=60.0, total_seconds=60.0, memory_bytes=256 * MIB, processes=12, disk_bytes=16 * MIB
)
SHORT_LIMITS = Limits(cpu_seconds=0.15, wall_seconds=10.0, total_seconds=10.0)


@dataclass(frozen=True, slots=True)
class PromiseResult:
    """One promise: what it is, whether it held, and what was seen."""

    promise: str
    held: bool
    seen: str


Attack = Callable[[type[Child]], list["PromiseResult"]]


def probe(child_class: type[Child], further: tuple[Attack, ...] = ()) -> list[PromiseResult]:
    """Attack one level, by `further` attacks too; the first result is whether it starts at all, and alone where it does not."""
    try:
        begun = _run(child_class, "print('up')")
    except (SandboxUnavailableError, OSError) as error:
        return [PromiseResult("starts", False, str(error))]
    up = begun.stdout == b"up\n"
    results = [PromiseResult("starts", up, "runs Python" if up else f"{begun.ending}: {begun.stderr[-200:]!r}")]
    if up:
        attacks = (_probe_reach, _probe_survivors, _probe_memory, _probe_time, _probe_output, _probe_disk, *further)
        with ThreadPoolExecutor(len(attacks)) as pool:
            for seen in pool.map(lambda attack: attack(child_class), attacks):
                results += seen
    return results


def _run(child_class: type[Child], source: str, orders: Any = None, limits: Limits = LIMITS) -> RunResult:
    with SandboxProcess(child_class, limits, source, mode="script", stdin=json.dumps(orders).encode()) as process:
        return process.finish()


REACH = """
import json, os, sys
orders, found = json.load(sys.stdin), {}
def attempt(promise, what, attack):
    try:
        seen = attack()
    except Exception:
        return
    if seen:
        found.setdefault(promise, []).append(what)

def connect(family, kind, address):
    import socket
    with socket.socket(family, kind) as s:
        s.settimeout(2)
        s.connect(address)
        s.send(b"x")
    return True
attempt("network", "a TCP port of this machine", lambda: connect(2, 1, ("127.0.0.1", orders["tcp"])))
attempt("network", "a UDP port of this machine", lambda: connect(2, 2, ("127.0.0.1", orders["udp"])))
attempt("network", "a Unix socket", lambda: connect(1, 1, orders["unix"]))
attempt("network", "an abstract Unix socket", lambda: connect(1, 1, "\\0" + orders["abstract"]))

for path in (orders["secret"], "/etc/passwd", "/etc/hostname", f"/proc/{orders['pid']}/environ", orders["home"] + "/.profile"):
    attempt("host files are hidden", path, lambda: open(path, "rb").read(1))
for path in (orders["home"], "/home", "/etc", orders["open"]):
    attempt("host files are hidden", path, lambda: os.listdir(path) not in ([], [".pyenv"]) and orders["bound"] not in path)
attempt("environment is empty", "variables", lambda: sorted(set(os.environ) - set(orders["environment"]) - {"LC_CTYPE", "PWD"}))
for path in orders["writable"]:
    its_own = path.startswith(("/dev/shm/", orders["own"]))  # where it may have one; whether it has is seen from outside
    attempt("" if its_own else "nothing outside is written", path, lambda: open(path, "w"))
attempt("nothing outside is written", os.__file__, lambda: open(os.__file__, "r+"))

attempt("not root", "user 0", lambda: os.getuid() == 0 or os.geteuid() == 0)
attempt("not root", "becoming user 0", lambda: os.setuid(0) is None and os.geteuid() == 0)
attempt("other processes are out of reach", "a signal", lambda: os.kill(orders["pid"], 0) is None)
attempt("other processes are out of reach", "their list", lambda: str(orders["pid"]) in os.listdir("/proc"))

import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for name, number, *arguments in orders["calls"]:
    attempt("system calls are filtered", name, lambda: libc.syscall(number, *arguments) >= 0)

def fork_many():
    children = 0
    while children < 40:
        pid = os.fork()
        if pid == 0:
            import time
            time.sleep(5)
            os._exit(0)
        children += 1
    return True
attempt("processes are counted", "40 of them", fork_many)
print(json.dumps(found))
"""
REACH_PROMISES = (
    "network",
    "host files are hidden",
    "environment is empty",
    "nothing outside is written",
    "not root",
    "other processes are out of reach",
    "system calls are filtered",
    "processes are counted",
)


def _probe_reach(child_class: type[Child]) -> list[PromiseResult]:
    """One program that reaches for everything; also looked at from outside, since it may not know what it reached."""
    with _targets() as (orders, touched):
        result = _run(child_class, REACH, orders)
        outside = touched()
    try:
        found: dict[str, list[str]] = json.loads(result.stdout)
    except ValueError:
        seen = f"the attack itself ended with {result.ending} {result.exit_code}: {result.stderr[-300:]!r}"
        return [PromiseResult(promise, False, seen) for promise in REACH_PROMISES]
    for promise, what in outside.items():
        found.setdefault(promise, []).extend(what)
    return [
        PromiseResult(promise, promise not in found, "reached " + ", ".join(found[promise]) if promise in found else "refused")
        for promise in REACH_PROMISES
    ]


@contextlib.contextmanager
def _targets() -> Iterator[tuple[dict[str, Any], Callable[[], dict[str, list[str]]]]]:
    """Things worth reaching, and a look at which of them have been."""
    from cogitate.rewards.sandbox.interpreter import interpreter

    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="cogitate-selftest-"))
        os.chmod(directory, 0o777)
        (Path(directory) / "secret").write_text(secrets.token_hex())
        listeners = {}
        abstract = secrets.token_hex(8)
        for name, family, kind, address in (
            ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            ("unix", socket.AF_UNIX, socket.SOCK_STREAM, f"{directory}/socket"),
            ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{abstract}"),
        ):
            listener = listeners[name] = stack.enter_context(socket.socket(family, kind))
            listener.bind(address)
            listener.setblocking(False)
            if kind == socket.SOCK_STREAM:
                listener.listen()
        orders = {
            "tcp": listeners["tcp"].getsockname()[1],
            "udp": listeners["udp"].getsockname()[1],
            "unix": f"{directory}/socket",
            "abstract": abstract,
            "secret": f"{directory}/secret",
            "open": directory,
            "writable": [f"{place}/{abstract}" for place in (directory, "", tempfile.gettempdir(), "/usr/lib", "/dev/shm")],
            "own": tempfile.gettempdir() + "/" + abstract,
            "home": os.path.expanduser("~"),
            "bound": str(interpreter()),
            "environment": sorted(ENVIRONMENT),
            "pid": os.getpid(),
            "calls": _forbidden_calls(),
        }

        def touched() -> dict[str, list[str]]:
            seen: dict[str, list[str]] = {}
            for name, listener in listeners.items():
                with contextlib.suppress(BlockingIOError):
                    if name == "udp":
                        listener.recv(1)
                    else:
                        listener.accept()[0].close()
                    seen.setdefault("network", []).append(f"{name}, seen from outside")
            written = [path for path in orders["writable"] if os.path.exists(path)]
            for path in written:
                os.unlink(path)
                seen.setdefault("nothing outside is written", []).append(f"{path}, seen from outside")
            return seen

        yield orders, touched


def _forbidden_calls() -> list[tuple[str | int, ...]]:
    """Calls that would succeed for a process without a filter (each alone in its arguments), by name and number."""
    from cogitate.rewards.sandbox.seccomp import call_number

    user_namespace, anonymous = 0x10000000, 0
    return [
        ("unshare", call_number("unshare"), user_namespace),
        ("memfd_create", call_number("memfd_create"), "probe", anonymous),
        ("ptrace", call_number("ptrace"), 0, 0, 0, 0),
    ]


SURVIVE = """
import ctypes, os, sys, time, json
ctypes.CDLL(None).prctl(15, json.load(sys.stdin).encode(), 0, 0, 0)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(20)
        os._exit(0)
"""


def _probe_survivors(child_class: type[Child]) -> list[PromiseResult]:
    """Children that detach themselves, known by a name they inherit."""
    name = secrets.token_hex(6)
    _run(child_class, SURVIVE, name)
    left = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and _name_of(entry) == name]
    return [PromiseResult("nothing survives", not left, f"processes {', '.join(left)} live on" if left else "all gone")]


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


MEMORY = """
import os, time
def hold(size):
    block = bytearray(size)
    block[::4096] = b"x" * len(block[::4096])
    return block
ours, theirs = os.pipe()
try:
    for _ in range(4):
        if os.fork() == 0:
            block = hold(100 << 20)
            os.write(theirs, b"x")
            time.sleep(60)
    for _ in range(4):
        os.read(ours, 1)  # until each of them holds its part
except OSError:
    block = hold(400 << 20)
time.sleep(10)
print("held")
"""


def _probe_memory(child_class: type[Child]) -> list[PromiseResult]:
    """Four processes that together, or one that alone, want more than the limit."""
    result = _run(child_class, MEMORY)
    held = result.ending == "memory" or b"MemoryError" in result.stderr
    return [PromiseResult("memory of the whole tree", held, f"{'stopped' if held else 'not stopped'} ({how(result)})")]


TIME = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
"""


def _probe_time(child_class: type[Child]) -> list[PromiseResult]:
    started = time.monotonic()
    result = _run(child_class, TIME, limits=SHORT_LIMITS)
    held = result.ending in ("cpu", "wall")
    return [PromiseResult("time", held, f"{how(result)} after {time.monotonic() - started:.1f} s")]


def _probe_output(child_class: type[Child]) -> list[PromiseResult]:
    result = _run(child_class, "while True:\n    print('x' * 65536)")
    held = result.ending == "output" and len(result.stdout) <= LIMITS.output_bytes + 1
    return [PromiseResult("output", held, f"{how(result)}, {len(result.stdout)} bytes taken")]


DISK = """
for number in range(12):
    with open(f"file{number}", "wb") as f:
        f.write(bytes(4 << 20))
import time
time.sleep(10)
print("held")
"""


def _probe_disk(child_class: type[Child]) -> list[PromiseResult]:
    result = _run(child_class, DISK)
    held = result.ending == "memory" or b"No space left" in result.stderr
    return [PromiseResult("disk", held, f"{'stopped' if held else 'not stopped'} ({how(result)})")]


def how(result: RunResult) -> str:
    """How a run ended, in a few words."""
    if result.ending != "exit":
        return f"limit: {result.ending}"
    last = result.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return last[:80] or f"exit code {result.exit_code}"
