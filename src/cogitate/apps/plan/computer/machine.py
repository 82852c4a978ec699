"""This computer as hardware: its memory, and what a calibration measured of its speed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from cogitate.apps.plan.factors import read_factors
from cogitate.costs.factors import Factors
from cogitate.costs.hardware import Cluster, Gpu
from cogitate.errors import DataError

OPERATIONS_OF_A_CORE, BYTES_OF_A_CORE = 6e10, 8e9  # a second; where nothing was measured
FASTER = 8.0  # the same in bfloat16, over that in float32, where a processor is made for it
UNMEASURED = 0.7  # deviation of the logarithm of every time on a machine that was not calibrated


@dataclass(frozen=True, slots=True)
class Machine:
    """A computer and the factors that belong to it.

    Attributes:
        is_measured: by `cogitate plan --calibrate`.
    """

    cluster: Cluster
    factors: Factors
    is_measured: bool


def this_cpu(peak: float = 0.0, bandwidth: float = 0.0) -> Gpu:
    """This computer's processor as one accelerator; without figures, what such cores usually have."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory().total
    speed = peak or cores * OPERATIONS_OF_A_CORE, bandwidth or cores * BYTES_OF_A_CORE
    return Gpu(
        f"this computer, {cores} cores", float(memory), *speed, link=1e9, network=1e8, node=1, generation="cpu", price=0.0
    )


def default_calibration() -> Path:
    """Where `--calibrate` writes, and a plan without --gpus looks."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "cogitate" / "plan.json"


def this_machine(calibration: Path | None, shipped: Factors, dtype: str = "float32") -> Machine:
    """This computer, calibrated where that was done, for work in this type.

    Raises:
        DataError: the file is no calibration.
    """
    path = calibration or default_calibration()
    if calibration is None and not path.is_file():
        return unmeasured(shipped, dtype)
    factors = read_factors(path, dtype)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["machine"]
        return Machine(Cluster(this_cpu(float(content["peak"][dtype]), float(content["bandwidth"])), 1), factors, True)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: has no figures of a machine; make it by `cogitate plan --calibrate`") from error


def machine_of_run(dtype: str) -> Machine:
    """This computer for a run. A calibration of another version does not stop it: the line in place of its plan
    (following.py) says so, and what is known without one is taken."""
    try:
        return this_machine(None, read_factors(), dtype)
    except DataError:
        return unmeasured(read_factors(), dtype)


def unmeasured(shipped: Factors, dtype: str) -> Machine:
    """This computer as it is guessed."""
    widened = {group: (value**2 + UNMEASURED**2) ** 0.5 for group, value in shipped.residuals.items() if group != "memory"}
    plain = this_cpu()
    gpu = replace(plain, peak=FASTER * plain.peak) if is_faster_in(dtype) else plain
    return Machine(Cluster(gpu, 1), replace(shipped, residuals={**shipped.residuals, **widened}), False)


def is_faster_in(dtype: str) -> bool:
    """Whether this computer multiplies matrices in a type faster than in float32."""
    if dtype == "float32":
        return False
    from cogitate.kernels.isa import faster_type  # here, so that plans in float32 need not wait for torch

    return faster_type() == dtype
