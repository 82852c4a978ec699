"""Where model-written code runs: in a sandbox of this machine or of another one, with which packages, or in the open."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cogitate.errors import ConfigError

if TYPE_CHECKING:  # only workers that judge code load the sandboxes
    from cogitate.rewards.sandbox.remote import RemoteSandbox
    from cogitate.rewards.sandbox.sandbox import Sandbox

REMOTE = ("sandbox_fusion", "piston")


@dataclass(frozen=True, slots=True)
class Isolation:
    """What a user says about it.

    Attributes:
        unsafe_local: run without isolation where none can be had on this machine.
        packages: installed packages that programs may import; what these need must be named as well.
        remote: "sandbox_fusion:URL" or "piston:URL"; "" for a sandbox of this machine.
    """

    unsafe_local: bool = False
    packages: tuple[str, ...] = ()
    remote: str = ""

    def check(self) -> None:
        """Raises ConfigError for a package that is not installed, a service that is unknown, or both together."""
        for package in self.packages:
            if not package.isidentifier() or package in sys.builtin_module_names or importlib.util.find_spec(package) is None:
                raise ConfigError(
                    f"rewards.allowed_packages: there is no package {package!r} to import here; install it or leave it out"
                )
        if not self.remote:
            return
        kind, _, url = self.remote.partition(":")
        parts = urlsplit(url)
        if kind not in REMOTE or parts.scheme not in ("http", "https") or not parts.netloc:
            forms = " or ".join(f"{known}:http://HOST:PORT" for known in REMOTE)
            raise ConfigError(f"rewards.remote_sandbox = {self.remote!r}: write it as {forms}")
        if self.packages:
            raise ConfigError("rewards.allowed_packages: a remote sandbox has packages of its own; leave one of the two out")
        if self.unsafe_local:
            raise ConfigError("rewards.unsafe_local: with a remote sandbox nothing runs here; leave one of the two out")


def read_packages(text: str) -> tuple[str, ...]:
    """The names in "numpy, sympy"."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


@lru_cache(maxsize=4)
def open_sandbox(isolation: Isolation) -> Sandbox | RemoteSandbox:
    """One sandbox for each process. The first one on this machine attacks its own promises first (a second).

    Raises:
        SandboxUnavailableError: no isolation can be had, and the user did not ask to go without.
    """
    if not isolation.remote:
        return open_local_sandbox(isolation)
    from cogitate.rewards.sandbox.remote import Piston, SandboxFusion

    kind, _, url = isolation.remote.partition(":")
    return SandboxFusion(url) if kind == "sandbox_fusion" else Piston(url)


@lru_cache(maxsize=4)
def open_local_sandbox(isolation: Isolation) -> Sandbox:
    """The same on this machine, whatever is said of another."""
    from cogitate.rewards.sandbox.sandbox import Sandbox

    return Sandbox(unsafe_local=isolation.unsafe_local, packages=isolation.packages)
