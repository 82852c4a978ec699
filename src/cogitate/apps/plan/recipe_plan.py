"""A whole recipe on given hardware, as text and JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cogitate.apps.overview import table
from cogitate.apps.plan.measured import Measured
from cogitate.apps.plan.stage_cost import StageCost, cost_of, largest_shape
from cogitate.apps.plan.work import StageWork
from cogitate.apps.plan.workloads.works import works_of
from cogitate.apps.report.words import write_seconds
from cogitate.config import Config
from cogitate.costs.factors import Estimate, Factors
from cogitate.costs.hardware import GIB, Cluster
from cogitate.costs.layout import Layout
from cogitate.recipe.recipe import graph_of

HINTS = {  # what helps where a term of memory is too large
    "optimiser states": "more GPUs, or runtime.lora_rank",
    "gradients": "more GPUs, or runtime.lora_rank",
    "weights": "more GPUs, or runtime.dtype=bfloat16",
    "weights gathered": "more GPUs in tensor or expert parallelism",
    "activations saved": "fewer micro_rows or row_tokens, or runtime.gradient_checkpointing=true",
    "activations of a layer": "fewer micro_rows or row_tokens",
    "logits": "fewer micro_rows or row_tokens",
    "cache": "a smaller runtime.max_batch or max_new_tokens",
    "engine": "a smaller runtime.max_batch",
    "completions": "fewer of them at a time",
    "prefixes": "a smaller runtime.prefix_cache",
    "states of training": "more GPUs, or runtime.lora_rank",
    "transfer buffers": "more GPUs in tensor parallelism",
    "models that score": "kl_beta=0 needs no reference; more GPUs",
    "critic": "more GPUs",
    "largest matrix": "a machine with more memory",
    "process": "a machine with more memory",
}


@dataclass(frozen=True, slots=True)
class RecipePlan:
    """Every stage of a recipe on one cluster."""

    recipe: str
    cluster: Cluster
    dated: str
    stages: tuple[StageCost, ...]

    @property
    def seconds(self) -> Estimate:
        return added([stage.seconds for stage in self.stages if stage.seconds is not None])

    @property
    def gpu_hours(self) -> Estimate:
        return self.seconds.times(self.cluster.count / 3600)

    @property
    def dollars(self) -> Estimate:
        return self.gpu_hours.times(self.cluster.gpu.price)

    @property
    def fits(self) -> str:
        """The worst of its stages."""
        answers = {stage.fits for stage in self.stages}
        return "no" if "no" in answers else "perhaps" if "perhaps" in answers else "yes"

    @property
    def not_planned(self) -> dict[str, str]:
        """Stages whose work is not known -> why; the sums are without them."""
        return {stage.name: stage.work.not_planned for stage in self.stages if stage.work.not_planned}

    def text(self) -> str:
        gpu, count = self.cluster.gpu, self.cluster.count
        head = f"{self.recipe} on {count} x {gpu.name} ({gpu.memory / GIB:.0f} GiB each"
        head += f", {gpu.price:.2f} USD an hour, prices of {self.dated})" if gpu.price else ")"
        rows = [["stage", "fits", "GiB of one", "largest term", "time", "GPU hours", "USD", "time goes into", "layout"]]
        rows += [stage_row(stage) for stage in self.stages]
        total = [
            "all",
            self.fits,
            "",
            "",
            time_text(self.seconds),
            figure_text(self.gpu_hours),
            figure_text(self.dollars),
            "",
            "",
        ]
        by_note: dict[str, list[str]] = {}
        for stage in self.stages:
            for note in () if stage.work.not_planned else stage.work.notes:
                by_note.setdefault(note, []).append(stage.name)
        notes = [f"{note}: {', '.join(names)}" for note, names in by_note.items()]
        lines = [head, "", *table([*rows, total]), "", "Intervals hold eight of ten; they stand in brackets."]
        lines += [f"not planned, so in no sum: {name}: {why}" for name, why in self.not_planned.items()]
        return "\n".join([*lines, *self.hint_lines(), *(["", "Guessed or given:", *notes] if notes else [])])

    def hint_lines(self) -> list[str]:
        """For stages that may not fit: the term that is too large, and what helps."""
        return [f"{stage.name} may not fit: {hint_of(stage)}" for stage in self.stages if stage.fits in ("no", "perhaps")]

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "recipe": self.recipe,
            "gpu": self.cluster.gpu.name,
            "gpus": self.cluster.count,
            "usd_per_gpu_hour": self.cluster.gpu.price,
            "prices_of": self.dated,
            "fits": self.fits,
            "seconds": self.seconds.as_json(),
            "gpu_hours": self.gpu_hours.as_json(),
            "usd": self.dollars.as_json(),
            "not_planned": self.not_planned,
            "stages": [stage_json(stage) for stage in self.stages],
        }


def plan_recipe(
    name: str,
    config: Config,
    cluster: Cluster,
    factors: Factors,
    *,
    dated: str,
    model: str = "",
    layout: Layout | None = None,
    measured: Measured | None = None,
    there: Mapping[str, str] | None = None,
    run: Path | None = None,
) -> RecipePlan:
    """Plan every stage.

    Args:
        model: in place of the recipe's base.
        layout: of every stage; else each has its own.
        measured: lengths and rows of a run that has been made.
        there: stages that need not be made -> why.
        run: whose probes have proposed settings.
    """
    works = works_of(graph_of(config), config, model=model, measured=measured, there=there, run=run)
    costs = tuple(cost_of(work, cluster, factors, config.runtime, layout_of(work, works, layout)) for work in works)
    return RecipePlan(name, cluster, dated, costs)


def layout_of(work: StageWork, works: Sequence[StageWork], wanted: Layout | None) -> Layout | None:
    """The layout that is wanted, without expert parallelism for a dense model where another stage's has experts."""
    if wanted is None or not work.works or largest_shape(work).experts:
        return wanted
    others = any(largest_shape(each).experts for each in works if each.works)
    return replace(wanted, experts=1) if others else wanted


def added(parts: Sequence[Estimate]) -> Estimate:
    """A sum. Errors of stages are mostly shared (factors, lengths), so that their widths add up as well, in part."""
    value = sum(part.value for part in parts)
    if not value:
        return Estimate(0.0, 0.0, 0.0)
    shared, alone = 0.7, 0.3

    def width(sides: list[float]) -> float:
        return shared * sum(sides) + alone * math.sqrt(sum(side**2 for side in sides))

    low, high = width([part.value - part.low for part in parts]), width([part.high - part.value for part in parts])
    return Estimate(value, value - low, value + high)


def hint_of(stage: StageCost) -> str:
    """`training needs 103 GiB (92 to 115) of 79; most of it is logits: fewer ...`."""
    assert stage.memory is not None
    low, value, high = (size / GIB for size in (stage.memory.low, stage.memory.value, stage.memory.high))
    help_text = HINTS.get(stage.term, "a larger machine")
    return (
        f"{stage.phase} needs {value:.3g} GiB ({low:.3g} to {high:.3g}) of {stage.cluster.gpu.memory / GIB:.3g}; most of it is "
        f"{stage.term}: {help_text}"
    )


def stage_row(stage: StageCost) -> list[str]:
    if stage.seconds is None or stage.memory is None:
        return [stage.name, stage.fits, "", "", "", "", "", "; ".join(stage.work.notes[:1]), ""]
    needed, dollars = figure_text(stage.memory.times(1 / GIB)), figure_text(stage.dollars if stage.cluster.gpu.price else None)
    times = [time_text(stage.seconds), figure_text(stage.gpu_hours), dollars, stage.binding]
    return [stage.name, stage.fits, needed, f"{stage.phase}: {stage.term}", *times, layout_text(stage.layout)]


def stage_json(stage: StageCost) -> dict[str, Any]:
    found: dict[str, Any] = {
        "stage": stage.name,
        "kind": stage.work.stage.kind.name,
        "fits": stage.fits,
        "notes": list(stage.work.notes),
    }
    if stage.seconds is not None and stage.memory is not None and stage.gpu_hours is not None and stage.dollars is not None:
        found |= {
            "seconds": stage.seconds.as_json(),
            "gpu_hours": stage.gpu_hours.as_json(),
            "usd": stage.dollars.as_json(),
            "memory_gib": stage.memory.times(1 / GIB).as_json(),
            "phase": stage.phase,
            "largest_term": stage.term,
            "time_goes_into": stage.binding,
            "layout": layout_text(stage.layout),
        }
    return found


def layout_text(layout: Layout | None) -> str:
    """dp8 tp2, degrees of 1 left out."""
    if layout is None:
        return ""
    degrees = (
        ("dp", layout.data),
        ("tp", layout.tensor),
        ("pp", layout.pipeline),
        ("ep", layout.experts),
        ("cp", layout.context),
    )
    return " ".join(f"{name}{degree}" for name, degree in degrees if degree > 1) or "one process"


def figure_text(figure: Estimate | None) -> str:
    if figure is None:
        return ""
    return f"{short(figure.value)} [{short(figure.low)}-{short(figure.high)}]"


def time_text(seconds: Estimate) -> str:
    return f"{write_seconds(seconds.value)} [{write_seconds(seconds.low)} - {write_seconds(seconds.high)}]"


def short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}" if number >= 0.01 or not number else "<0.01"
