"""Captures a fixed sequence of kernels, so that the host launches it as one. Only this file knows CUDA's graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

Made = tuple[Tensor, ...]


class Capture(Protocol):
    """What captures for one engine. A region must not wait for the device, and reads and writes memory at fixed addresses."""

    def __call__(self, region: Callable[[], Made]) -> Callable[[], Made]:
        """What does the same again; its results are the same tensors each time, filled once it is called."""


class CudaGraphs:
    """Graphs that share memory for what lies between their inputs and their results: they run one after the other."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)  # torch's own stream is one of its current device
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, region: Callable[[], Made]) -> Callable[[], Made]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            made = region()

        def replay() -> Made:
            graph.replay()
            return made

        return replay


CAPTURES: dict[str, Callable[[torch.device], Capture]] = {"cuda": CudaGraphs}
"""By the type of device, for those that can capture."""
