"""What a learner sees of the ranks that train with it: all of them are given the same whole batch, and each reads its share.

A learner asks for its share, and has numbers and tensors added up over all ranks. With one rank nothing is cut and nothing is
added, so that a learner is written once. Losses are divided by what the whole batch counts: sums over ranks are then those of
one process, beyond rounding. Every rank has the same number of passes, since each pass gathers weights from all of them; a rank
with fewer micro-batches has idle ones, from which nothing is learnt.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class Ranks(Protocol):
    """The processes that train one model."""

    @property
    def rank(self) -> int:
        """Which of them this is, from 0 on."""

    @property
    def count(self) -> int: ...

    def shard(self, model: Model) -> Model:
        """Leave this rank its part of a model's weights, in place. Comes before an optimiser is made."""

    def added(self, numbers: Sequence[float]) -> list[float]:
        """Each number's sum over ranks, equal on all of them."""

    def highest(self, numbers: Sequence[float]) -> list[float]:
        """Each number's largest over ranks."""

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Make each tensor of integers the sum of all ranks' in place."""

    def gathered(self, rows: Tensor) -> tuple[Tensor, slice]:
        """The rows of all ranks, one rank's after the other's, and which of them are this rank's."""

    def save(self, model: Model, path: Path, write: Callable[[Model, Path], None]) -> None:
        """Have one rank write the whole model; the others wait for it."""

    def wait(self) -> None:
        """Until all ranks have come here."""


class OneRank:
    """This process alone."""

    rank, count = 0, 1

    def shard(self, model: Model) -> Model:
        return model

    def added(self, numbers: Sequence[float]) -> list[float]:
        return list(numbers)

    def highest(self, numbers: Sequence[float]) -> list[float]:
        return list(numbers)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Nothing is to be added."""

    def gathered(self, rows: Tensor) -> tuple[Tensor, slice]:
        return rows, slice(None)

    def save(self, model: Model, path: Path, write: Callable[[Model, Path], None]) -> None:
        write(model, path)

    def wait(self) -> None:
        """Nobody else comes."""


ALONE = OneRank()


def row_passes(rows: int, size: int, ranks: Ranks) -> list[tuple[Tensor, bool]]:
    """This rank's micro-batches of at most `size` of a batch's rows, and whether each is real; an idle one is row 0."""
    if ranks.count == 1:
        return [(part, True) for part in torch.arange(rows).split(size)]
    bounds = [rows * rank // ranks.count for rank in range(ranks.count + 1)]
    passes = max(-(-(stop - start) // size) for start, stop in pairwise(bounds))
    mine = torch.arange(bounds[ranks.rank], bounds[ranks.rank + 1])
    real = [(part, True) for part in mine.split(size) if len(part)]
    return real + [(torch.zeros(1, dtype=torch.long), False)] * (passes - len(real))


def shares(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Things of these sizes shared out: the largest first, each to who has least. Each share in the order of the things."""
    given: list[list[int]] = [[] for _ in range(count)]
    least_first = [(0, rank) for rank in range(count)]
    for index in sorted(range(len(sizes)), key=lambda each: -sizes[each]):
        size, rank = least_first[0]
        given[rank].append(index)
        heapq.heapreplace(least_first, (size + sizes[index], rank))
    return [sorted(indices) for indices in given]
