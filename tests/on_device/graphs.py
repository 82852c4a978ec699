"""Graphs of the stand-in: what is captured is run again kernel by kernel on the same memory, and nothing of the host is.

So a number that a step would have to bring along, or memory that is another in the next step, is found by a wrong result, and
what copies or waits is refused (`CaptureError`), as CUDA refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from cogitate.engine.steps.capture import CAPTURES
from tests.on_device.stand_in_device import KIND, Call, captured, tensors_of

Made = tuple[Tensor, ...]


class StandInGraphs:
    """An engine's Capture (engine/steps/capture.py).

    Attributes:
        graphs: the kernels of each.
    """

    def __init__(self, device: torch.device) -> None:
        assert device.type == KIND
        self.graphs: list[list[Call]] = []

    def __call__(self, region: Callable[[], Made]) -> Callable[[], Made]:
        calls: list[Call] = []
        captured.append(calls)
        try:
            made = region()
        finally:
            captured.pop()
        self.graphs.append(calls)

        def replay() -> Made:
            for call in calls:
                out = call.func(*call.args, **call.kwargs)
                for then, now in zip(tensors_of((call.out,), {}), tensors_of((out,), {}), strict=True):
                    if now is not then:
                        then.copy_(now)
            return made

        return replay


@contextmanager
def graphs_there() -> Iterator[None]:
    """As long as this lasts, the stand-in can capture."""
    CAPTURES[KIND] = StandInGraphs
    try:
        yield
    finally:
        del CAPTURES[KIND]
