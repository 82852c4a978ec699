"""Weights that are read from files, averaged or picked, and written: no tokens, hardly any operations."""

from __future__ import annotations

from cogitate.costs.counts import count_parameters
from cogitate.costs.factors import Factors
from cogitate.costs.hardware import GIB
from cogitate.costs.memory import Memory
from cogitate.costs.shape import Shape

FILE_BYTES = 5e8  # a second, read or written with their hashes: what a plain disk gives
START = 1.0  # seconds of a stage whatever it does
WIDE_COPIES = 3 * 8  # bytes of each number of the largest matrix, which is averaged in float64


def moving_seconds(shape: Shape, models: float, *, weight_bytes: float) -> float:
    """So many models read or written."""
    return START + models * weight_bytes * count_parameters(shape).total_with_mtp / FILE_BYTES


def moving_memory(shape: Shape, models: float, factors: Factors, *, weight_bytes: float, averaged: bool = False) -> Memory:
    """So many models in memory at the same time; `averaged`: matrix by matrix in float64."""
    terms = {
        "weights": models * weight_bytes * count_parameters(shape).total_with_mtp,
        "largest matrix": float(WIDE_COPIES * shape.vocabulary * shape.width) if averaged else 0.0,
        "process": factors["fixed_gib"] * GIB,
    }
    return Memory(terms)
