"""Who had the processors while a stage was made: this run with its workers, or other programs, which make it take longer."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

PROCESSORS = "processor_seconds"  # in work.json and manifests: {"own": ..., "others": ...}; nothing where it is not known


@dataclass(frozen=True, slots=True)
class ProcessorSeconds:
    """Seconds that processors were at work: `own` for this process and those below it, `others` for all other programs, and for
    other virtual machines of the same host as far as that one says so."""

    own: float
    others: float

    def since(self, earlier: ProcessorSeconds) -> ProcessorSeconds:
        """What has been added since; clocks of processes are coarse, so that a difference may come out below 0."""
        return ProcessorSeconds(max(0.0, self.own - earlier.own), max(0.0, self.others - earlier.others))

    def plus(self, other: ProcessorSeconds) -> ProcessorSeconds:
        return ProcessorSeconds(self.own + other.own, self.others + other.others)

    def as_json(self) -> dict[str, float]:
        return {"own": round(self.own, 2), "others": round(self.others, 2)}


def processor_seconds() -> ProcessorSeconds | None:
    """Since the computer and this process were started; None on other systems than Linux, whose counts mean something else."""
    if sys.platform != "linux":
        return None
    whole = psutil.cpu_times()
    busy = whole.user + whole.nice + whole.system + whole.irq + whole.softirq + whole.steal
    own = 0.0
    for process in [this := psutil.Process(), *this.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since, and counts as its parent's
            own += sum(process.cpu_times()[:4])  # user, system, and the same of children that have ended
    return ProcessorSeconds(own, busy - own)


def read_processor_seconds(record: Mapping[str, object]) -> ProcessorSeconds | None:
    """What a work.json or a manifest says of it; None where it says nothing that can be used."""
    match record.get(PROCESSORS):
        case {"own": int() | float() as own, "others": int() | float() as others}:
            return ProcessorSeconds(float(own), float(others))
    return None
