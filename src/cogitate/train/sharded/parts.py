"""Parts of tensors: what a rank holds of a sharded one (PyTorch's DTensor), and how it is made whole.

A rank holds consecutive rows: of n rows and W ranks the rank r has those from r * ceil(n / W) on, ceil(n / W) at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard, cast

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_sharded(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether this is a rank's part of a tensor; without importing what only ranks need."""
    return hasattr(tensor, "device_mesh")


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, in the same memory; the tensor itself where it is not sharded."""
    return cast("DTensor", tensor.detach()).to_local() if is_sharded(tensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """The whole of a sharded tensor; all ranks call it."""
    return cast("DTensor", tensor.detach()).full_tensor() if is_sharded(tensor) else tensor


def part_like(sharded: DTensor, part: Tensor) -> DTensor:
    """This rank's part of another tensor, of the shape of `sharded`, that is sharded as this one is."""
    from torch.distributed.tensor import DTensor

    strides = torch.empty(sharded.shape, device="meta").stride()
    return DTensor.from_local(
        part, sharded.device_mesh, sharded.placements, run_check=False, shape=sharded.shape, stride=strides
    )


def rows_of(sharded: DTensor) -> tuple[int, int]:
    """Which rows of the whole this rank has: from, to."""
    return rows_of_rank(sharded.shape[0], sharded.device_mesh.get_local_rank(), sharded.device_mesh.size())


def rows_of_rank(rows: int, rank: int, ranks: int) -> tuple[int, int]:
    each = -(-rows // ranks)
    return min(rank * each, rows), min((rank + 1) * each, rows)


class Pieces(Mapping[str, Tensor]):
    """Tensors of a checkpoint by name, each in one or several pieces, which are its consecutive rows. They are read from disk
    where they are looked at."""

    def __init__(self, pieces: Mapping[str, Sequence[Tensor]]):
        self._pieces = pieces

    def __getitem__(self, name: str) -> Tensor:
        pieces = self._pieces[name]
        return pieces[0] if len(pieces) == 1 else torch.cat(tuple(pieces))

    def __iter__(self) -> Iterator[str]:
        return iter(self._pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    def below(self, prefix: str) -> Pieces:
        """Those whose names begin so, by the rest of their names."""
        return Pieces({name.removeprefix(prefix): each for name, each in self._pieces.items() if name.startswith(prefix)})

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows of a tensor; pieces without any of them stay on disk."""
        found, begin = list[Tensor](), 0
        for piece in self._pieces[name]:
            end = begin + len(piece)
            if begin < stop and start < end:
                found.append(piece[max(start - begin, 0) : stop - begin])
            begin = end
        return torch.cat(found) if found else self._pieces[name][0][:0]

    def like(self, name: str, target: Tensor) -> Tensor:
        """The tensor of this name; where `target` is a rank's part, the same part of it."""
        return part_like(target, self.rows(name, *rows_of(target)).to(target.device)) if is_sharded(target) else self[name]
