"""Attacks that only forked programs can make: on the server, and on the program that the same server runs next."""

from __future__ import annotations

import json
import secrets

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox.child import Child
from cogitate.rewards.sandbox.forking.child import ForkedChild
from cogitate.rewards.sandbox.forking.server import ForkServer
from cogitate.rewards.sandbox.limits import RunResult
from cogitate.rewards.sandbox.process import SandboxProcess
from cogitate.rewards.sandbox.selftest import LIMITS, PromiseResult, how, probe

NOTHING_HELD, AFRESH, OUT_OF_REACH = (
    "the fork server holds nothing of a program",
    "each program starts as the first did",
    "the fork server is out of reach",
)
KNOWN_TO_BE_THERE = b"split_from_init"  # the guest's own name for something, in the memory of every program


def probe_forking() -> list[PromiseResult]:
    """Attack the first level with forked programs, as any level is attacked and beyond."""
    return probe(ForkedChild, (attack_successor,))


STATE = """
import sys
modules = sorted(sys.modules)
import builtins, ctypes, json, os, resource, signal
def state():
    status = [line.split() for line in open("/proc/self/status")]
    return {
        "modes": [oct(os.stat(path).st_mode) for path in ("/dev/pts/ptmx", "/dev/null", "/tmp", "/dev/shm")],
        "files": [os.listdir("/tmp"), os.listdir("/dev/shm"), os.getcwd()],
        "processes": sorted(name for name in os.listdir("/proc") if name.isdigit()),
        "its place among them": [os.getpid(), os.getppid(), os.getsid(0), os.getpgrp()],
        "descriptors": os.listdir("/proc/self/fd"),
        "limits": [resource.getrlimit(kind) for kind in range(16)],
        "signals": [str(signal.getsignal(number)) for number in range(1, 65)],
        "blocked signals": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "timers": [signal.getitimer(kind) for kind in range(3)],
        "attributes": [os.umask(0o22), os.getpriority(0, 0), sorted(os.sched_getaffinity(0)), os.uname().nodename],
        "rights": [os.getresuid(), os.getresgid(), os.getgroups()]
        + [line for line in status if line and line[0] in ("CapPrm:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:")],
        "environment": dict(os.environ),
        "modules": [modules, sorted(vars(builtins)), sorted(vars(sys)), sys.path],
        "sockets": open("/proc/net/unix").read().count("\\n"),
        "hash seed": hash("x"),
    }
libc = ctypes.CDLL(None, use_errno=True)
orders = json.load(sys.stdin)
state = state()
"""

LEAVE = """
SECRET = {secret!r}
import socket, time
found = []
def attempt(what, attack):
    try:
        seen = attack()
    except Exception:
        return
    if seen:
        found.append(what)

def rights_of_first(name):
    return int(next(line.split()[1] for line in open("/proc/1/status") if line.startswith(name)), 16)
def make_user_namespace():
    child = libc.syscall({"x86_64": 56, "aarch64": 220}[os.uname().machine], 0x10000000 | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return child > 0

attempt("a process that is not its own", lambda: set(state["processes"]) - {"1", str(os.getpid())})
attempt("a descriptor that is not its own", lambda: set(state["descriptors"]) - {"0", "1", "2", "3"})
attempt("a descriptor of its first process", lambda: os.listdir("/proc/1/fd"))
attempt("a capability", lambda: [line for line in state["rights"] if line[0] in ("CapPrm:", "CapEff:") and int(line[1], 16)])
attempt("a capability of its first process", lambda: any(rights_of_first(name) & ~0xC0 for name in ("CapPrm:", "CapEff:")))
attempt("a user namespace", make_user_namespace)
attempt("a mount", lambda: libc.mount(b"none", b"/dev/shm", b"tmpfs", 0, None) == 0)
attempt("an unmount", lambda: libc.umount2(b"/tmp", 2) == 0)
attempt("a namespace", lambda: libc.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0) == 0)
attempt("a setting of the kernel", lambda: open("/proc/sys/kernel/hostname", "w"))

for path in ("/tmp/left", "/dev/shm/left"):
    with open(path, "w") as file:
        file.write(SECRET)
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
pair[0].bind("\\0left")
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
signal.setitimer(signal.ITIMER_REAL, 50)
os.umask(0)
os.nice(3)
os.environ["LEFT"] = builtins.left = sys.left = SECRET
os.chdir("/")
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
for path in ("/dev/pts/ptmx", "/dev/null", "/tmp", "/dev/shm", "/proc/1/mem"):
    try:
        os.chmod(path, 0)
    except OSError:
        pass
print(json.dumps([state, found]), flush=True)
os.kill(0, signal.SIGKILL)
"""

LOOK = """
add_one = bytes((value + 1) % 256 for value in range(256))  # so that looking for a text makes no copy of it
def holds(shifted):
    ours, theirs = os.pipe()
    for line in open("/proc/self/maps").read().splitlines():
        places, access = line.split()[:2]
        start, end = (int(place, 16) for place in places.split("-"))
        if access[:2] != "rw":
            continue
        while start < end:
            taken = libc.write(theirs, ctypes.c_void_p(start), ctypes.c_size_t(min(65536, end - start)))
            if taken <= 0:
                break
            if os.read(ours, taken).translate(add_one).find(shifted) >= 0:
                return True
            start += max(taken - 64, 1) if taken == 65536 else taken
    return False
held = [holds(bytes.fromhex(text)) for text in orders]
print(json.dumps([state, held]))
"""


def attack_successor(child_class: type[Child]) -> list[PromiseResult]:
    """A program that leaves whatever it can, then kills its process group; then another in the same server, which looks."""
    secret = secrets.token_hex(12)
    shifted = [bytes(value + 1 for value in text).hex() for text in (secret.encode(), KNOWN_TO_BE_THERE)]
    try:
        first, first_server = _run(child_class, LEAVE.replace("{secret!r}", repr(secret)))
        second, second_server = _run(child_class, LOOK, shifted)
    except SandboxUnavailableError as error:
        return [PromiseResult(promise, False, str(error)) for promise in (NOTHING_HELD, AFRESH, OUT_OF_REACH)]
    try:
        before, found = json.loads(first.stdout)
        after, (holds_secret, holds_known) = json.loads(second.stdout)
    except ValueError:
        seen = f"the attack itself ended: {how(first)}; {how(second)}"
        return [PromiseResult(promise, False, seen) for promise in (NOTHING_HELD, AFRESH, OUT_OF_REACH)]
    if first_server is not second_server:
        found.append("its end")
    changed = [name for name in before if before[name] != after[name]]
    return [
        PromiseResult(NOTHING_HELD, holds_known and not holds_secret, "found the last program" if holds_secret else "searched"),
        PromiseResult(AFRESH, not changed, f"not the same: {', '.join(changed)}" if changed else "nothing is left"),
        PromiseResult(OUT_OF_REACH, not found, f"reached {', '.join(found)}" if found else "refused"),
    ]


def _run(child_class: type[Child], source: str, orders: list[str] | None = None) -> tuple[RunResult, ForkServer]:
    stdin = json.dumps(orders).encode()
    with SandboxProcess(child_class, LIMITS, STATE + source, mode="script", stdin=stdin) as process:
        assert isinstance(process.child, ForkedChild)
        return process.finish(), process.child.server
