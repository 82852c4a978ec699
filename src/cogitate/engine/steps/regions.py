"""How the parts of a step between its copy and its result are launched: kernel by kernel, or as graphs that were captured."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from cogitate.device import on_host
from cogitate.engine.steps.capture import CAPTURES, Made
from cogitate.engine.steps.inputs import Inputs, Parts, cut, packed, to_device
from cogitate.errors import ConfigError
from cogitate.model.moe import RoutedExperts
from cogitate.model.transformer import Transformer


class Regions(Protocol):
    """Runs the regions of steps."""

    def table(self, table_NB: np.ndarray) -> np.ndarray:
        """A table of blocks as it is put among the inputs."""

    def inputs(self, parts: Parts) -> Inputs:
        """Copy a step's inputs to the device, in one copy that the host need not wait for; there may be more rows of them."""

    def run(self, name: Hashable, inputs: Inputs, region: Callable[[], Made]) -> Made:
        """What a region makes. Regions of equal name and inputs are one sequence of kernels, on other numbers each time."""


def check_captured(model: Transformer) -> None:
    """Refuse to capture the steps of a model.

    Raises:
        ConfigError: its device has no graphs, or a layer of it waits for the host.
    """
    device = model.embed_tokens.weight.device.type
    if device not in CAPTURES:
        raise ConfigError(f"captured_steps has no effect on {device}: steps are captured with CUDA; set captured_steps=false")
    experts = [module for module in model.modules() if isinstance(module, RoutedExperts)]
    if any(not module.can_be_grouped(module.gate_up_proj) for module in experts):
        raise ConfigError(
            "captured_steps: layers with experts wait for the host in this type or on this GPU, and what waits is not "
            "captured; set captured_steps=false"
        )


class Launched:
    """Kernel by kernel."""

    def __init__(self, device: torch.device):
        self._device = device

    def table(self, table_NB: np.ndarray) -> np.ndarray:
        return table_NB

    def inputs(self, parts: Parts) -> Inputs:
        return to_device(parts, self._device)

    def run(self, name: Hashable, inputs: Inputs, region: Callable[[], Made]) -> Made:
        return region()


class Captured:
    """As graphs, one for each region and bucket of rows and of blocks.

    Rows that a bucket has more of repeat the last one: they write the same numbers to the same places. The first step of a
    bucket is launched kernel by kernel: a bucket that is met once is not worth a graph, and kernels may be set up when they
    first run. Graphs know addresses, so the weights and the cache stay where they are, also while they are not used; where the
    cache has grown, all graphs are forgotten.

    Attributes:
        captures, replays: how many there were.
    """

    def __init__(self, device: torch.device, addresses: Callable[[], list[Tensor]]):
        """
        Args:
            addresses: what regions read and write beside their inputs, or a tensor for each part of it that moves as one.
        """
        self._device, self._addresses = device, addresses
        self.captures = self.replays = 0
        self._known: list[Tensor] = []
        self._forget()

    def table(self, table_NB: np.ndarray) -> np.ndarray:
        """With further blocks of anybody, which nobody sees."""
        return np.pad(table_NB, ((0, 0), (0, bucket(table_NB.shape[1]) - table_NB.shape[1])))

    def inputs(self, parts: Parts) -> Inputs:
        known = self._addresses()
        if len(known) != len(self._known) or any(now is not then for now, then in zip(known, self._known, strict=True)):
            self._forget()
            self._known = known
        array = packed(parts)
        array = np.pad(array, ((0, bucket(len(array)) - len(array)), (0, 0)), mode="edge")
        key = (array.shape, *((name, part.shape[1:]) for name, part in parts.items()))
        if key not in self._inputs:
            self._inputs[key] = cut(torch.empty(array.shape, dtype=torch.int64, device=self._device), parts)
        self._inputs[key].array.copy_(on_host(torch.from_numpy(array), self._device), non_blocking=True)
        return self._inputs[key]

    def run(self, name: Hashable, inputs: Inputs, region: Callable[[], Made]) -> Made:
        key = (name, id(inputs))
        if key not in self._met:
            self._met.add(key)
            return region()
        if key not in self._graphs:
            self._graphs[key] = self._capture(region)
            self.captures += 1
        self.replays += 1
        return self._graphs[key]()

    def _forget(self) -> None:
        self._known = []
        self._inputs: dict[Hashable, Inputs] = {}
        self._met: set[Hashable] = set()
        self._graphs: dict[Hashable, Callable[[], Made]] = {}
        # Another one: memory whose last graph is gone is not shared again.
        self._capture = CAPTURES[self._device.type](self._device)


def bucket(count: int) -> int:
    """The least of 1, 2, 3, 4, 6, 8, 12, 16, 24, 32 ... that is not less: powers of two and what is halfway between them."""
    power = 1 << (count - 1).bit_length()
    return 3 * power // 4 if power > 2 and count <= 3 * power // 4 else power
