"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil
import torch

from cogitate.kernels import native_library

TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16", "sve")


def machine_facts() -> dict[str, Any]:
    """Processor, memory, versions, threads, and what else kept the machine busy when this was asked."""
    cpu = processor_info()
    flags = set(cpu.get("flags", cpu.get("Features", "")).split())
    return {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "cores": psutil.cpu_count(logical=False),
        "logical_cores": os.cpu_count(),
        "usable_cores": len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count(),
        "flags": [flag for flag in TELLING_FLAGS if flag in flags],
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "native_kernels": native_library() is not None,
        "load_average": [round(load, 2) for load in psutil.getloadavg()],
    }


class OtherWork:
    """How much of the machine others use, from the moment this is made: figures of a busy machine say little."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.monotonic(), busy_seconds(), own_seconds()

    def share(self) -> float:
        """0 to 1 of all cores, this process and its finished children not counted."""
        others = (busy_seconds() - self._busy) - (own_seconds() - self._own)
        cores = os.cpu_count() or 1
        return min(1.0, max(0.0, others / (time.monotonic() - self._started) / cores))


def busy_seconds() -> float:
    """Of all cores, by anybody, other guests of the same host included."""
    times = psutil.cpu_times()
    busy: float = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
    return busy


def own_seconds() -> float:
    times = psutil.Process().cpu_times()
    own: float = times.user + times.system + times.children_user + times.children_system
    return own


def processor_info() -> dict[str, str]:
    """The first processor of /proc/cpuinfo, {} where there is none."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    pairs = (line.partition(":") for line in path.read_text().partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
