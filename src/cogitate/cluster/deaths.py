"""Why a process has died: its exit signal, its memory, the last lines of its log."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEATHS = "deaths.jsonl"
LAST_LINES = 5
SECONDS_TO_BE_REAPED = 2.0  # by its parent, after which the kernel tells how it has ended
# linux/pidfd.h, from Linux 6.15 on: the exit status of a process that one has had a descriptor of.
PIDFD_GET_INFO, PIDFD_INFO_EXIT, EXIT_CODE_AT = 0xC040FF0B, 1 << 3, 60


@dataclass(frozen=True, slots=True)
class Death:
    """What is known of it.

    Attributes:
        ending: `killed by SIGKILL`, `exit status 1`; "" where the system does not say.
        resident: bytes of the process in memory when it was last looked at.
        last_lines: of its log.
    """

    ending: str
    resident: int | None
    last_lines: tuple[str, ...]


class Watched:
    """A process of this machine that may die. Close it where it does not."""

    def __init__(self, pid: int):
        self.pid = pid
        self._resident: int | None = None
        self._descriptor: int | None = None
        with contextlib.suppress(OSError, AttributeError):  # it is dead already, or the system has no such thing
            self._descriptor = os.pidfd_open(pid)

    def look(self) -> None:
        """Note how much memory it has."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            self._resident = pages * os.sysconf("SC_PAGE_SIZE") or self._resident

    @property
    def resident(self) -> int | None:
        """Its bytes in memory when it was last looked at."""
        return self._resident

    def death(self, logs: Path) -> Death:
        """To be called once, after it has died."""
        status = self._exit_status()
        found = Death("" if status is None else ending_of(status), self._resident, last_lines(logs, self.pid))
        self.close()
        return found

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _exit_status(self) -> int | None:
        """As of wait(2); None where the kernel is older than 6.15."""
        until = time.monotonic() + SECONDS_TO_BE_REAPED
        while self._descriptor is not None:
            answer = bytearray(struct.pack("Q", PIDFD_INFO_EXIT) + bytes(EXIT_CODE_AT + 4 - 8))
            with contextlib.suppress(OSError):  # it is not reaped yet, or the kernel is older
                fcntl.ioctl(self._descriptor, PIDFD_GET_INFO, answer)
                if struct.unpack_from("Q", answer)[0] & PIDFD_INFO_EXIT:
                    return int(struct.unpack_from("i", answer, EXIT_CODE_AT)[0])
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        return None


def ending_of(status: int) -> str:
    """A status of wait(2) in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"killed by {signal.Signals(number).name}" if number in list(signal.Signals) else f"killed by signal {number}"
    return f"exit status {os.WEXITSTATUS(status)}"


def last_lines(logs: Path, pid: int) -> tuple[str, ...]:
    """Of what a worker of Ray has written to standard error."""
    found: Sequence[str] = ()
    for path in logs.glob(f"worker-*-{pid}.err"):
        with contextlib.suppress(OSError):
            found = [line.rstrip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return tuple(line for line in found if not line.startswith(":"))[-LAST_LINES:]


def record_death(directory: Path, who: Mapping[str, Any], cause: str, found: Death, lost: Mapping[str, int]) -> None:
    """Append a row to the run's record of deaths.

    Args:
        who: kind of process and which of them, `pid` and `host` where they are known.
        lost: how many completions have to be done again, by what is done with them.
    """
    row = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **who,
        "cause": cause,
        "resident": found.resident,
        "last_lines": list(found.last_lines),
        **lost,
    }
    with (directory / DEATHS).open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(row, ensure_ascii=False) + "\n")
