"""With what a run or an artifact was made: versions, commit and processor. Facts for a reader: no id holds them, and nothing
compares them."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cogitate

MADE_WITH = "made_with"  # the key in config.json and manifest.json
LIBRARIES = ("torch", "numpy")


@cache
def made_with() -> dict[str, str]:
    """{"cogitate": its version, "commit": of the checkout, where the code is in one, "python", "torch", "numpy": versions,
    "processor": name}."""
    package = Path(cogitate.__file__).resolve().parent
    commit = commit_of(package)
    return {
        "cogitate": cogitate.__version__,
        **({"commit": commit} if commit else {}),
        "python": platform.python_version(),
        **{name: found for name in LIBRARIES if (found := installed(name))},
        "processor": processor_name(),
    }


def commit_of(package: Path) -> str:
    """The commit that a package's code is checked out at, "abc123 with changes" where tracked files of it differ; "" where the
    code is in no checkout, e.g. installed into an environment that lies in somebody else's repository."""
    root = git(package, "rev-parse", "--show-toplevel")
    if not root or Path(root).resolve() / "src" / package.name != package:
        return ""
    commit = git(package, "rev-parse", "HEAD")
    changed = git(package, "status", "--porcelain", "--untracked-files=no", ".")
    return f"{commit} with changes" if commit and changed else commit


def git(directory: Path, *arguments: str) -> str:
    """What git says; "" where it is not there or refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def installed(name: str) -> str:
    """A library's version without importing it; "" where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def processor_name() -> str:
    """As the system calls it, "x86_64" and the like where it has no better name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def made_with_text(record: Mapping[str, Any]) -> str:
    """`made with cogitate 0.1.0 (commit 1a2b3c4), python 3.11.2, ...`; "" where a config.json or manifest does not say."""
    facts = record.get(MADE_WITH)
    if not isinstance(facts, Mapping) or not facts:
        return ""
    said = {str(key): str(value) for key, value in facts.items()}
    commit, processor = said.pop("commit", ""), said.pop("processor", "")
    names = [f"{name} {value}" for name, value in said.items()]
    if commit:
        digest, *rest = commit.split(" ")
        names[0] += f" (commit {' '.join([digest[:12], *rest])})"
    return "made with " + ", ".join([*names, *([processor] if processor else [])])
