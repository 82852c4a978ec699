"""What a step needs from the host, as one array that is copied to the device at once, and what comes back, as another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Inputs:
    """The array on the device.

    Attributes:
        columns: its first columns, each int64 (N,), by name; `numbers` reads those that are float32.
        tables: the others, cut into block tables, int64 (N, blocks).
    """

    columns: Mapping[str, Tensor]
    tables: Sequence[Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.columns[name]

    def numbers(self, name: str) -> Tensor:
        """A column of float32."""
        return self.columns[name].to(torch.int32).view(torch.float32)


def to_device(columns: Mapping[str, np.ndarray], tables: Sequence[np.ndarray], device: torch.device) -> Inputs:
    """Copy columns (int64 or float32) and tables to the device, in one copy that the host need not wait for."""
    names = list(columns)
    packed = np.concatenate([*(_as_integers(columns[name])[:, None] for name in names), *tables], axis=1, dtype=np.int64)
    host = torch.from_numpy(packed)
    if device.type == "cuda":
        host = host.pin_memory()
    there = host.to(device, non_blocking=True)
    parts = there.split([1] * len(names) + [table.shape[1] for table in tables], dim=1)
    return Inputs({name: part.squeeze(1) for name, part in zip(names, parts, strict=False)}, parts[len(names) :])


def to_host(integers: Sequence[Tensor], numbers: Tensor) -> tuple[list[np.ndarray], np.ndarray]:
    """Bring int64 tensors (N,) and a float32 tensor (N,) to the host in one copy, which it waits for."""
    packed = torch.stack((*integers, numbers.view(torch.int32).long())).cpu().numpy()
    return list(packed[:-1]), packed[-1].astype(np.int32).view(np.float32)


def _as_integers(values: np.ndarray) -> np.ndarray:
    return values.view(np.int32) if values.dtype == np.float32 else values
