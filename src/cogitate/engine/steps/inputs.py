"""What a step needs from the host, as one array that is copied to the device at once, and what comes back, as another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cogitate.device import send

Parts = Mapping[str, np.ndarray]
"""By name: integers or float64, (N,) or (N, columns) for N rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The array on the device, int64 (N, columns), and its parts by name, (N, columns of the part), which are views of it."""

    array: Tensor
    parts: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        """A part of integers."""
        return self.parts[name]

    def doubles(self, name: str) -> Tensor:
        """A part of float64."""
        return self.parts[name].view(torch.float64)


def packed(parts: Parts) -> np.ndarray:
    """All parts side by side, int64 (N, columns)."""
    columns = [part[:, None] if part.ndim == 1 else part for part in parts.values()]
    as_integers = [part.view(np.int64) if part.dtype == np.float64 else part for part in columns]
    array: np.ndarray = np.concatenate(as_integers, axis=1, dtype=np.int64)
    return array


def cut(array: Tensor, parts: Parts) -> Inputs:
    """An array on the device, or for it, as the parts that were packed."""
    widths = [1 if part.ndim == 1 else part.shape[1] for part in parts.values()]
    return Inputs(array, dict(zip(parts, array.split(widths, dim=1), strict=True)))


def to_device(parts: Parts, device: torch.device) -> Inputs:
    """Copy parts to the device, in one copy that the host need not wait for."""
    return cut(send(torch.from_numpy(packed(parts)), device), parts)


def results(integers: Sequence[Tensor], numbers_N: Tensor) -> Tensor:
    """int64 tensors (N,) and a float32 tensor (N,) as one, int64 (1 + integers, N), still on the device."""
    return torch.stack((*integers, numbers_N.double().view(torch.int64)))


def to_host(made: Tensor) -> tuple[list[np.ndarray], np.ndarray]:
    """The inverse of `results`, on the host, in one copy that it waits for."""
    array = made.cpu().numpy()
    return list(array[:-1]), array[-1].view(np.float64).astype(np.float32)
