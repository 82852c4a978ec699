"""A program's process as a fork of a waiting Python, otherwise as bubblewrap would have started it."""

from __future__ import annotations

import os
from pathlib import Path

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox.bubblewrap import NamespacedChild
from cogitate.rewards.sandbox.child import Pipes
from cogitate.rewards.sandbox.forking.server import servers
from cogitate.rewards.sandbox.limits import Limits


class ForkedChild(NamespacedChild):
    """bubblewrap + rlimits + seccomp, forked: `exit_descriptor` is the first process of the program's own namespaces."""

    has_guest = True
    others_in_namespace = 2  # the server and process 1

    def _begin(self, pipes: Pipes, limits: Limits, packages: tuple[Path, ...]) -> int:
        self._memory_limit = limits.memory_bytes
        self._reaped = False
        self.server = servers.take(packages)
        self._uid = self.server.uid
        handle = None
        try:
            self._open_to_user(pipes)
            handle = self.server.fork(pipes.child_ends(), limits.disk_bytes)
            self._proc = Path(f"/proc/{pid_of(handle)}/root/proc")
        except BaseException:  # Ctrl-C, too: the server may be in the middle of an answer, and is of no more use
            if handle is not None:
                os.close(handle)
            servers.end(self.server)
            raise
        return handle

    def _find_init(self) -> int:
        return self.exit_descriptor

    def _kill(self) -> None:
        self._kill_init(self.exit_descriptor)

    def _reap(self) -> tuple[int, float]:
        status, seconds = self.server.reap()
        self._reaped = True
        return status, seconds

    def _give_back(self) -> None:
        if self._reaped:
            servers.give_back(self.server)
        else:
            servers.end(self.server)


def pid_of(handle: int) -> int:
    """The process that a pidfd stands for."""
    for line in Path(f"/proc/self/fdinfo/{handle}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise SandboxUnavailableError("this kernel does not tell which process a pidfd stands for")
