"""Our end of a fork server: a sandbox of the first level in which a Python waits, from which programs are forked.

Starting bubblewrap and a Python costs far more than most programs do; a server pays it once. What runs in it is
`inside/server.py`. Between two programs it is idle, and it runs one at a time, so that what the kernel counts for its user
or its namespace is that program's alone. A server belongs to the thread that started it, since the kernel ends it with that.
"""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
import threading
import weakref
from functools import lru_cache
from pathlib import Path

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox import inside, seccomp
from cogitate.rewards.sandbox.bubblewrap import SHARED_MEMORY_BYTES, bubblewrap_command, readable_bytes
from cogitate.rewards.sandbox.child import is_readable, take_uid

START_SECONDS = 60.0  # for a server to come up and fork on a very busy machine
END_SECONDS = 30.0
SETUID_AND_SETGID = 0b1100_0000  # what the first process of a sandbox keeps where a root starts it
SERVER_DISK_BYTES = 4096  # nothing is ever written there

BOOTSTRAP = (
    "import posix,marshal,builtins;code=marshal.loads(posix.read({code},1<<20));"
    "guest={{'__builtins__':dict(vars(builtins))}};server={{'__builtins__':guest['__builtins__']}};"
    "exec(code[0],guest);exec(code[1],server);channel=server['serve']({link},code[2]);guest['main'](channel)"
)


class ForkServer:
    """A running server.

    Attributes:
        uid: the user its programs run as where we are root, taken from all other sandboxes while it lives.

    Raises:
        SandboxUnavailableError: it does not start; a server that runs says so at the first `fork`.
    """

    def __init__(self, command: tuple[str, ...]):
        self.command = command
        self.uid: int | None = None
        uid_lock: socket.socket | None = None
        if os.geteuid() == 0:
            self.uid, uid_lock = take_uid()
        self._link, link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._link.settimeout(START_SECONDS)
        nothing, end_of_nothing = os.pipe()
        self._troubles, troubles = os.pipe()
        code = os.memfd_create("server")
        os.pwrite(code, server_code(), 0)
        filter_descriptor = readable_bytes(seccomp.server_filter())
        inherited = (link.fileno(), code, filter_descriptor)
        try:
            process = subprocess.Popen(
                [
                    command[0],
                    "--seccomp",
                    str(filter_descriptor),
                    *command[1:],
                    "-c",
                    BOOTSTRAP.format(link=link.fileno(), code=code),
                ],
                stdin=nothing,
                stdout=troubles,
                stderr=troubles,
                pass_fds=inherited,
                env={},
                cwd="/",
            )
        except BaseException:  # Ctrl-C, too: nothing closes what was opened for a server that does not run
            self._link.close()
            os.close(self._troubles)
            if uid_lock is not None:
                uid_lock.close()
            raise
        finally:
            link.close()
            for descriptor in (nothing, end_of_nothing, troubles, code, filter_descriptor):
                os.close(descriptor)
        self.close = weakref.finalize(self, _end, os.getpid(), process, self._link, self._troubles, uid_lock)

    def is_up(self) -> bool:
        """Whether an idle server still waits for a request."""
        return not is_readable(self._link.fileno())

    def fork(self, ends: tuple[int, ...], disk_bytes: int) -> int:
        """Start a program's first process, with these descriptors as 0 to 4; its pidfd, which becomes readable when it ends."""
        try:
            socket.send_fds(self._link, [disk_bytes.to_bytes(8, "little")], list(ends))
            _, handles, _, _ = socket.recv_fds(self._link, 16, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise SandboxUnavailableError(f"the sandbox did not start: {self._trouble() or error}") from error
        if not handles:
            raise SandboxUnavailableError(f"the sandbox did not start: {self._trouble() or 'it said nothing'}")
        return handles[0]

    def reap(self) -> tuple[int, float]:
        """Status and processor seconds of the process that has just ended, with all it has waited for."""
        try:
            self._link.send(b"ended")
            answer = self._link.recv(16)
        except OSError as error:
            raise SandboxUnavailableError(f"a sandbox does not tell how a program ended: {error}") from error
        if len(answer) < 16:
            raise SandboxUnavailableError(f"a sandbox ended under a program: {self._trouble()}")
        return int.from_bytes(answer[:8], "little"), int.from_bytes(answer[8:], "little") / 1e6

    def _trouble(self) -> str:
        """What a server that has ended wrote."""
        text = b""
        while is_readable(self._troubles, END_SECONDS) and (more := os.read(self._troubles, 1 << 16)):
            text += more
        return text.decode(errors="replace").strip()[-500:]


def _end(
    owner: int, process: subprocess.Popen[bytes], link: socket.socket, troubles: int, uid_lock: socket.socket | None
) -> None:
    """Let an idle server end, or kill it, and give back what it held; a fork of the owner only forgets it."""
    link.close()
    os.close(troubles)
    if owner == os.getpid():
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    else:
        process.returncode = 0  # not ours to wait for
    if uid_lock is not None:
        uid_lock.close()


class IdleServers(threading.local):
    """The servers of a thread that run no program now, by their command line; they end with the thread."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.idle: dict[tuple[str, ...], list[ForkServer]] = {}
        self.lent: set[ForkServer] = set()

    def take(self, packages: tuple[Path, ...]) -> ForkServer:
        """One that waits, or a new one. Raises SandboxUnavailableError, OSError."""
        if self.owner != os.getpid():  # a fork of the process that started them
            self.__init__()  # type: ignore[misc]
        command = server_command(packages)
        waiting = self.idle.setdefault(command, [])
        while waiting:
            server = waiting.pop()
            if server.is_up():
                break
            server.close()
        else:
            server = ForkServer(command)
        self.lent.add(server)
        return server

    def give_back(self, server: ForkServer) -> None:
        """Keep a server that has reaped its program for the next; end one of another thread."""
        if server in self.lent:
            self.lent.remove(server)
            self.idle[server.command].append(server)
        else:
            server.close()

    def end(self, server: ForkServer) -> None:
        """End a server whose state is not known."""
        self.lent.discard(server)
        server.close()


servers = IdleServers()


def server_command(packages: tuple[Path, ...]) -> tuple[str, ...]:
    """bubblewrap's, with what the server needs to make namespaces: rights over its own only, unless we are root."""
    command = bubblewrap_command(packages, SERVER_DISK_BYTES)
    rights = ("--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP")
    place = command.index("--clearenv")
    return (*command[:place], *rights, *command[place:])


@lru_cache(maxsize=1)
def server_code() -> bytes:
    """Compiled code of the guest and of the server, and the server's settings, as the bootstrap reads them."""
    guest, server = (
        compile(inside.source(name), f"<sandbox {name}>", "exec", dont_inherit=True) for name in ("guest", "server")
    )
    settings = {
        "clone": seccomp.clone_number(),
        "filter": seccomp.namespaced_filter(),
        "capabilities": SETUID_AND_SETGID if os.geteuid() == 0 else 0,
        "shared_memory_bytes": SHARED_MEMORY_BYTES,
    }
    return marshal.dumps((guest, server, settings))
