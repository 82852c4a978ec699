"""Layout: how a model and its batch are divided among processes; what cannot be is refused with the nearest that can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cogitate.costs.shape import Shape
from cogitate.errors import ConfigError

Sharding = Literal[
    "full", "optimiser", "none"
]  # what data-parallel processes divide: all states (FSDP2), AdamW's (ZeRO-1), nothing


@dataclass(frozen=True, slots=True)
class Layout:
    """Degrees of parallelism; experts are divided among the processes of data, context and tensor parallelism.

    Attributes:
        processes: all of them; what tensor, pipeline and context parallelism leave is data parallelism.
    """

    processes: int
    tensor: int = 1
    pipeline: int = 1
    experts: int = 1
    context: int = 1
    sharding: Sharding = "full"

    @property
    def data(self) -> int:
        return max(1, self.processes // (self.tensor * self.pipeline * self.context))


LARGE = 1e11  # parameters from which a model is trained in pipelines: gathering its weights for each pass would take too long


def usual_layout(shape: Shape, parameters: float, processes: int) -> Layout:
    """How a model of so many parameters is usually trained: all states divided, or large ones in pipelines of 16 with experts
    on processes of their own and AdamW's states divided."""
    if parameters < LARGE:
        return Layout(processes)
    best = (0, 0, 0)
    for pipeline in (n for n in range(1, 17) if processes % n == 0):
        within = processes // pipeline
        degrees = (n for n in range(1, min(64, within) + 1) if within % n == 0 and shape.experts % n == 0)
        experts = max(degrees) if shape.experts else 1
        best = max(best, (pipeline * experts, pipeline, experts))
    return Layout(processes, pipeline=best[1], experts=best[2], sharding="optimiser")


def check_layout(layout: Layout, shape: Shape) -> None:
    """Refuse a layout that cannot be.

    Raises:
        ConfigError: the processes, heads, layers or experts do not divide; the nearest degree that works is named.
    """
    divided = layout.tensor * layout.pipeline * layout.context
    if layout.processes % divided:
        below = layout.processes // divided * divided
        nearest = _nearest(layout.processes, (n for n in (below, below + divided) if n))
        raise ConfigError(
            f"{layout.processes} GPUs cannot be divided by tensor {layout.tensor} x pipeline {layout.pipeline} x context "
            f"{layout.context} = {divided}: the nearest number that can is {nearest}"
        )
    heads = shape.heads if shape.is_latent else shape.kv_heads
    _divide("tensor parallelism", layout.tensor, shape.heads, f"{shape.heads} query heads")
    if layout.tensor > heads and layout.tensor % heads:
        raise ConfigError(
            f"tensor parallelism {layout.tensor} is no multiple of the {heads} key heads: the nearest that works is "
            f"{_nearest(layout.tensor, range(heads, 8 * heads + 1, heads))}"
        )
    if layout.pipeline > shape.layers:
        raise ConfigError(
            f"pipeline parallelism {layout.pipeline} is more than the {shape.layers} layers: the nearest is {shape.layers}"
        )
    if layout.experts > 1:
        if not shape.experts:
            raise ConfigError(f"expert parallelism {layout.experts}: the model has no experts; the nearest that works is 1")
        _divide("expert parallelism", layout.experts, shape.experts, f"{shape.experts} experts")
        within = layout.data * layout.context * layout.tensor
        _divide("expert parallelism", layout.experts, within, f"{within} processes of data, context and tensor parallelism")


def _divide(what: str, degree: int, whole: int, of: str) -> None:
    if whole % degree:
        nearest = _nearest(degree, (n for n in range(1, min(whole, 2 * degree) + 1) if whole % n == 0))
        raise ConfigError(f"{what} {degree} does not divide the {of}: the nearest that does is {nearest}")


def _nearest(wanted: int, numbers: Iterable[int]) -> int:
    return min(numbers, key=lambda number: (abs(number - wanted), number))
