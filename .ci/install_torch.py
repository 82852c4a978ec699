"""Install torch as constraints.txt pins it, the CPU build wherever one can be had; run by `make`, with the venv's Python.

On PyPI, torch for Linux brings CUDA libraries of several GB. The CPU build comes from pip's own sources where they have one,
else from PyTorch's index where it can be reached. What will be downloaded is said first.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
REACHED_AT_ONCE = ("--retries", "0", "--timeout", "5", "--index-url", CPU_INDEX)
BRINGS_CUDA = ("nvidia", "cuda", "triton")


def main() -> None:
    requirement = next(line for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if line.startswith("torch=="))
    if is_installed(requirement):
        return
    usual = planned(requirement)
    if usual and not brings_cuda(usual):
        print(f"make: {requirement}, the CPU build, from {source(usual)}", flush=True)
        sys.exit(install(requirement))
    cpu = planned(requirement, *REACHED_AT_ONCE)
    if cpu:
        print(f"make: {requirement}, the CPU build (about 200 MB), from {source(cpu)}", flush=True)
        sys.exit(install(requirement, *REACHED_AT_ONCE[-2:], "--extra-index-url", "https://pypi.org/simple"))
    if usual:
        why = f"{CPU_INDEX} cannot be reached"
        print(f"make: {requirement} with CUDA libraries (about 5 GB), from {source(usual)}: {why}", flush=True)
    sys.exit(install(requirement))


def is_installed(requirement: str) -> bool:
    name, _, version = requirement.partition("==")
    shown = pip("show", name, capture=True)
    return f"Version: {version}" in shown.stdout.partition("+")[0]


def planned(requirement: str, *options: str) -> dict[str, Any] | None:
    """What pip would install, as its report tells it; None where there is nothing."""
    report = pip("install", "--dry-run", "--no-deps", "--quiet", "--report", "-", *options, requirement, capture=True)
    if report.returncode:
        return None
    install: list[dict[str, Any]] = json.loads(report.stdout)["install"]
    return install[0] if install else None


def brings_cuda(package: dict[str, Any]) -> bool:
    return any(needed.startswith(BRINGS_CUDA) for needed in package["metadata"].get("requires_dist", []))


def source(package: dict[str, Any]) -> str:
    place = urlsplit(package["download_info"]["url"])
    return place.netloc or str(Path(place.path).parent)


def install(requirement: str, *options: str) -> int:
    return pip("install", "--quiet", "--constraint", str(CONSTRAINTS), *options, requirement).returncode


def pip(*arguments: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=False, text=True, capture_output=capture)


if __name__ == "__main__":
    main()
