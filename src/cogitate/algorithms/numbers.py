"""Numbers of a device for the host, which waits for all of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def as_floats(numbers: Sequence[Tensor]) -> list[float]:
    """Tensors of one number each as Python's, exactly (integers up to 2^53)."""
    elsewhere = [number.detach().double() for number in numbers if not number.is_cpu]
    waited_for = iter(torch.stack(elsewhere).tolist() if elsewhere else ())
    return [float(number) if number.is_cpu else next(waited_for) for number in numbers]


def added(numbers: Iterable[float]) -> float:
    """The sum in order, rounded after each number; Python's own from 3.12 on rounds otherwise."""
    total = 0.0
    for number in numbers:
        total += number
    return total
