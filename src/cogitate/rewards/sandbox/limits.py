"""What a sandboxed program may use, how it ended, and the levels of isolation."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

MIB = 1024 * 1024

Ending = Literal["exit", "cpu", "wall", "memory", "output", "protocol"]


class SandboxLevel(enum.Enum):
    """How well a program is kept apart, best first."""

    BUBBLEWRAP = "bubblewrap+rlimits+seccomp"
    LANDLOCK = "landlock+seccomp+rlimits"
    UNSAFE_LOCAL = "unsafe_local"  # rlimits only, and only when asked for
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one program. Time is counted for each test (each call or each run), the rest for the whole process tree.

    Attributes:
        cpu_seconds: processor time of one test, all processes together.
        wall_seconds: elapsed time of one test, without the time it was ready to run and the machine ran others, so that a
            busy machine fails no honest program.
        total_seconds: elapsed time of all tests of one program together, come what may.
        memory_bytes: resident memory of the whole tree, and address space of each process.
        processes: processes and threads.
        file_bytes: largest file.
        disk_bytes: all files together.
        output_bytes: standard output and standard error together.
        message_bytes: one answer of a called function.
        open_files: descriptors of each process.
    """

    cpu_seconds: float = 5.0
    wall_seconds: float = 30.0
    total_seconds: float = 90.0
    memory_bytes: int = 2048 * MIB
    processes: int = 32
    file_bytes: int = 32 * MIB
    disk_bytes: int = 64 * MIB
    output_bytes: int = 1 * MIB
    message_bytes: int = 16 * MIB
    open_files: int = 128

    @classmethod
    def of(cls, given: Limits | Mapping[str, float] | None, default: Limits) -> Limits:
        """`default` with the bounds that are given, by name. Raises ValueError for a name or value that is none."""
        if given is None or isinstance(given, Limits):
            return given or default
        if not isinstance(given, Mapping):
            raise ValueError(f"limits are an object of name -> number, not {given!r}")
        names = {field.name: type(getattr(default, field.name)) for field in fields(cls)}
        for name, value in given.items():
            if name not in names:
                raise ValueError(f"there is no limit {name!r}; there are {', '.join(names)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"limit {name} = {value!r} must be a finite number above 0")
        return replace(default, **{name: names[name](value) for name, value in given.items()})


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a program's run ended.

    Attributes:
        ending: "exit", or the limit it exceeded.
        exit_code: 0..255 where it ended by itself; 128 + signal number where a signal ended it; None after a limit.
        stdout, stderr: what it wrote, at most output_bytes together.
        cpu_seconds, wall_seconds: of the program, its start included.
    """

    ending: Ending
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    cpu_seconds: float
    wall_seconds: float
