"""plan.json: what a plan said of each stage when the run started, for those who compare it with what was measured.

{"schema": 1, "machine": "this computer, 2 cores",
 "stages": {"r1_zero": {"seconds": {"value": 128.0, "low": 97.0, "high": 169.0}, "memory_bytes": {"value": 9.1e8, ...}}}}

Figures are of a stage's making from its beginning, with intervals that should hold eight of ten. Stages that are given, that
ship with the package or that no plan knows are not in it. Measured figures stand in the manifests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cogitate.costs.factors import Estimate
from cogitate.errors import ArtifactError
from cogitate.recipe.run_directory.attempt import PEAK_MEMORY
from cogitate.recipe.run_directory.processors import read_processor_seconds
from cogitate.recipe.run_directory.store import MANIFEST, is_shipped_copy
from cogitate.runtime import write_json

PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """What a plan says of one stage: seconds, and bytes of this process at its fullest."""

    seconds: Estimate
    memory: Estimate


@dataclass(frozen=True, slots=True)
class Compared:
    """A finished stage beside its plan.

    Attributes:
        peak: bytes; None where they were not measured.
        others: processors that other programs kept busy on average; None where that is not known.
    """

    stage: str
    plan: PlannedStage
    seconds: float
    peak: int | None
    others: float | None = None


def write_planned(out: Path, machine: str, stages: Mapping[str, PlannedStage]) -> None:
    """Write plan.json."""
    content = {
        name: {"seconds": each.seconds.as_json(), "memory_bytes": each.memory.as_json()} for name, each in stages.items()
    }
    write_json(out / PLAN, {"schema": 1, "machine": machine, "stages": content})


def read_planned(out: Path) -> dict[str, PlannedStage]:
    """The planned stages of a run directory; {} where it has no plan.

    Raises:
        ArtifactError: plan.json is damaged.
    """
    path = out / PLAN
    if not path.is_file():
        return {}
    try:
        stages = json.loads(path.read_text(encoding="utf-8"))["stages"]
        return {
            name: PlannedStage(Estimate(**each["seconds"]), Estimate(**each["memory_bytes"])) for name, each in stages.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"{path}: damaged ({error}); delete it, the next start of the run writes it again") from error


def compared(out: Path) -> list[Compared]:
    """Finished stages of a run that have a plan, in the plan's order.

    Raises:
        ArtifactError: plan.json is damaged.
    """
    return [row for name, plan in read_planned(out).items() if (row := compared_stage(out, name, plan)) is not None]


def compared_stage(out: Path, stage: str, plan: PlannedStage) -> Compared | None:
    """One stage beside its plan; None where it is not finished, or its manifest does not say what it cost."""
    if is_shipped_copy(out / stage):
        return None
    try:
        manifest = json.loads((out / stage / MANIFEST).read_text(encoding="utf-8"))
        seconds, peak = float(manifest["seconds"]), manifest.get(PEAK_MEMORY)
    except (OSError, ValueError, TypeError, KeyError):  # damage of a manifest is for those to say who verify artifacts
        return None
    worked = read_processor_seconds(manifest)
    others = worked.others / seconds if worked is not None and seconds > 0 else None
    return Compared(stage, plan, seconds, int(peak) if isinstance(peak, int) else None, others)


def seconds_to_come(out: Path, stages: Sequence[str], stage: str) -> tuple[float, float] | None:
    """What the plan says of `stage`, and of those after it in `stages` that are not finished; None where there is no plan.

    Raises:
        ArtifactError: plan.json is damaged.
    """
    planned = read_planned(out)
    if not planned or stage not in stages:
        return None
    later = [name for name in stages[stages.index(stage) + 1 :] if not (out / name / MANIFEST).is_file()]
    own = planned[stage].seconds.value if stage in planned else 0.0
    return own, sum(planned[name].seconds.value for name in later if name in planned)
