"""Ranks of torch.distributed, with FSDP2: weights lie in parts, and each layer is whole while it computes.

`fully_shard` gathers a layer's weights before its forward and its backward pass and adds its gradients up over ranks after it.
Embedding, final norm and head stay whole between the passes, since the head is read outside `forward`. (PyTorch FSDP,
arXiv:2304.11277; the second form is per parameter.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel
from cogitate.train.sharded.parts import whole
from cogitate.train.sharded.ranks import Model


class GroupRanks:
    """Implements Ranks. torch.distributed's default group must have been made.

    Args:
        device: the kind of this rank's, cpu or cuda.
    """

    def __init__(self, device: str = "cpu"):
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        self._device = device
        self._mesh = init_device_mesh(device, (self.count,))
        self._forms: dict[nn.Module, nn.Module] = {}  # of each model: it before it was sharded, without memory

    def shard(self, model: Model) -> Model:
        self._forms[model] = without_memory(model)
        trunk = model.trunk if isinstance(model, ValueModel) else model
        assert isinstance(trunk, Transformer), type(model)
        for block in (*trunk.layers, *([] if trunk.mtp is None else [trunk.mtp])):
            self._shard(block, between_passes=False)
        self._shard(trunk, between_passes=True)
        if isinstance(model, ValueModel):
            self._shard(model.score, between_passes=True)
        return model

    def _shard(self, module: nn.Module, *, between_passes: bool) -> None:
        """Args:
        between_passes: the weights stay whole between forward and backward pass.
        """
        policy = MixedPrecisionPolicy(reduce_dtype=torch.float32)  # what ranks add up is not rounded in between
        sharded = fully_shard(module, mesh=self._mesh, reshard_after_forward=not between_passes, mp_policy=policy)
        sharded.set_gradient_divide_factor(1.0)  # losses are shares of the batch's already
        sharded.set_force_sum_reduction_for_comms(True)

    def added(self, numbers: Sequence[float]) -> list[float]:
        return [float(each) for each in self._of_all(numbers).sum(0)]

    def highest(self, numbers: Sequence[float]) -> list[float]:
        return [float(each) for each in self._of_all(numbers).amax(0)]

    def _of_all(self, numbers: Sequence[float]) -> Tensor:
        """(ranks, numbers), float64, on the CPU."""
        mine = torch.tensor(list(numbers), dtype=torch.float64, device=self._device)
        each = [torch.empty_like(mine) for _ in range(self.count)]
        dist.all_gather(each, mine)
        return torch.stack(each).cpu()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            dist.all_reduce(tensor)

    def gathered(self, rows: Tensor) -> tuple[Tensor, slice]:
        """Rows of tensors (S, L) may be as many and as long as they are on each rank; shorter ones end in zeros."""
        sizes = self._of_all(rows.shape).long()
        longest = sizes.amax(0).tolist()
        padded = rows.new_zeros(longest)
        padded[tuple(slice(size) for size in rows.shape)] = rows
        each = [torch.empty_like(padded) for _ in range(self.count)]
        dist.all_gather(each, padded)
        counts = sizes[:, 0].tolist()
        start = sum(counts[: self.rank])
        all_rows = torch.cat([part[:count] for part, count in zip(each, counts, strict=True)])
        return all_rows, slice(start, start + counts[self.rank])

    def save(self, model: Model, path: Path, write: Callable[[Model, Path], None]) -> None:
        tensors = {}
        for name, tensor in model.state_dict().items():
            full = whole(tensor)  # one at a time; all ranks gather, the first keeps
            if self.rank == 0:
                tensors[name] = full
        if self.rank == 0:
            filled = cast(Model, copy.deepcopy(self._forms[model]))
            filled.load_state_dict(tensors, assign=True)
            write(filled, path)
        self.wait()

    def wait(self) -> None:
        dist.barrier()


def without_memory(model: Model) -> Model:
    """The same model on "meta"."""
    tensors = {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    tensors |= {id(p): nn.Parameter(p.detach().to("meta"), requires_grad=p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, tensors)
