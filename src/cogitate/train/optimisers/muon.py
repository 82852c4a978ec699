"""Muon for matrices, AdamW for everything else: one optimiser.

DeepSeek-V3 was trained by AdamW alone (section 4.2). Muon (K. Jordan 2024; scaled as in Moonlight, arXiv:2502.16982, section
2.2) makes every singular value of an update equal, and needs about half the tokens: what a laptop has least of.

Orthogonalisation is a quarter of a small model's training step in float32, matrix by matrix. In bfloat16, as Jordan has it,
with all matrices of a shape in one product, it is a tenth. On a device they are in one product in float32, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cogitate.kernels.isa import faster_type
from cogitate.train.optimisers.adamw import MOMENTS, NUMBERS_TOGETHER, runs_of
from cogitate.train.sharded.parts import is_sharded, local, part_like, rows_of, whole

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic coefficients: steep at zero, singular values end in about 0.7..1.2
ITERATIONS = 5
RMS_OF_ADAMW = 0.2  # the usual root mean square of AdamW's update, so that both share one learning rate
BETAS, EPS = (0.9, 0.95), 1e-8
NOT_MATRICES = ("embed_tokens", "lm_head", "router", "gate.weight")  # tables of vectors, not maps between hidden states


class MuonAdamW(torch.optim.Optimizer):
    """Args:
    model: hidden matrices (and stacks of them) get Muon; embeddings, head, routers, norms and biases AdamW.
    weight_decay: decoupled, on everything of two or more dimensions.
    bfloat16: orthogonalise in bfloat16, matrices of one shape together, where that is faster. Other last digits.
    """

    def __init__(self, model: nn.Module, learning_rate: float, weight_decay: float, *, bfloat16: bool = False):
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        matrices = [p for name, p in named if p.dim() >= 2 and not any(word in name for word in NOT_MATRICES)]
        chosen = set(map(id, matrices))
        tables = [p for _, p in named if p.dim() >= 2 and id(p) not in chosen]
        vectors = [p for _, p in named if p.dim() < 2]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "muon": True, "weight_decay": weight_decay},
            {"params": tables, "muon": False, "weight_decay": weight_decay},
            {"params": vectors, "muon": False, "weight_decay": 0.0},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": learning_rate})
        self._bfloat16 = bfloat16 and all(multiplies_bfloat16(matrix.device) for matrix in matrices)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update from the gradients; `closure` is not used."""
        assert closure is None
        for group in self.param_groups:
            ready = [parameter for parameter in group["params"] if parameter.grad is not None]
            if ready and not any(parameter.is_cpu or is_sharded(parameter) for parameter in ready):
                self._step_together(ready, group)
                continue
            for parameter in ready:
                local(parameter).mul_(1 - group["lr"] * group["weight_decay"])
            by_adamw = ((parameter, self._adamw(parameter, local(parameter.grad))) for parameter in ready)
            for parameter, update in self._by_muon(ready) if group["muon"] else by_adamw:
                local(parameter).add_(update, alpha=-group["lr"])

    def _step_together(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """The same on a device, where what the host launches costs: a fixed number of kernels for each shape of matrices."""
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        updates = (self._updates_by_muon if group["muon"] else self._updates_by_adamw)(parameters)
        torch._foreach_add_(parameters, updates, alpha=-group["lr"])

    def _updates_by_muon(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        momenta = [self._started(parameter, "momentum")["momentum"] for parameter in parameters]
        gradients = gradients_of(parameters)
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        directions = torch._foreach_lerp(gradients, momenta, MOMENTUM)
        places: dict[tuple[int, ...], list[int]] = defaultdict(list)  # of matrices of one shape
        for place, parameter in enumerate(parameters):
            places[parameter.shape[-2:]].append(place)
        updates: dict[int, Tensor] = {}  # by place
        for alike in places.values():
            for run in runs_of([parameters[place].numel() for place in alike], NUMBERS_TOGETHER):
                stack = torch.cat([_stack(directions[place]) for place in alike[run]])
                orthogonal = orthogonalise(stack.bfloat16() if self._bfloat16 else stack).float().contiguous()
                parts = orthogonal.split([len(_stack(directions[place])) for place in alike[run]])
                updates |= {place: part.view_as(directions[place]) for place, part in zip(alike[run], parts, strict=True)}
        sizes_of_updates = [RMS_OF_ADAMW * max(parameter.shape[-2:]) ** 0.5 for parameter in parameters]
        return list(torch._foreach_mul([updates[place] for place in range(len(parameters))], sizes_of_updates))

    def _updates_by_adamw(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        states = [self._started(parameter, *MOMENTS, counts=True) for parameter in parameters]
        gradients = gradients_of(parameters)
        means, squares = ([state[key] for state in states] for key in MOMENTS)
        for state in states:
            state["step"] += 1
        steps = [float(state["step"]) for state in states]
        torch._foreach_lerp_(means, gradients, 1 - BETAS[0])
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - BETAS[1])
        roots = torch._foreach_div(squares, [1 - BETAS[1] ** step for step in steps])
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, EPS)
        updates = torch._foreach_div(means, [1 - BETAS[0] ** step for step in steps])
        torch._foreach_div_(updates, roots)
        return list(updates)

    def _started(self, parameter: Tensor, *moments: str, counts: bool = False) -> dict[str, Any]:
        """The state of a parameter, which is made before its first step."""
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state |= {"step": torch.zeros(())} if counts else {}
            state |= {moment: torch.zeros_like(local(parameter)) for moment in moments}
        return state

    def _by_muon(self, parameters: Sequence[Tensor]) -> Iterable[tuple[Tensor, Tensor]]:
        for alike in _of_one_shape(parameters) if self._bfloat16 else ([parameter] for parameter in parameters):
            directions = [gathered(parameter, self._direction(parameter)) for parameter in alike]
            orthogonal = _orthogonalise_together(directions) if self._bfloat16 else map(orthogonalise, directions)
            for parameter, direction in zip(alike, orthogonal, strict=True):
                yield parameter, own_rows(parameter, direction) * (RMS_OF_ADAMW * max(parameter.shape[-2:]) ** 0.5)

    def _direction(self, parameter: Tensor) -> Tensor:
        """The gradient with Nesterov's momentum."""
        assert parameter.grad is not None
        gradient, state = local(parameter.grad), self._started(parameter, "momentum")
        momentum: Tensor = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)

    def _adamw(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        state = self._started(parameter, *MOMENTS, counts=True)
        state["step"] += 1
        steps = float(state["step"])
        mean: Tensor = state["exp_avg"].lerp_(gradient, 1 - BETAS[0]) / (1 - BETAS[0] ** steps)
        square: Tensor = state["exp_avg_sq"].lerp_(gradient.square(), 1 - BETAS[1]) / (1 - BETAS[1] ** steps)
        return mean / (square.sqrt() + EPS)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is the faster type there. A processor that only reads it took fifteen times as long as in float32."""
    return device.type != "cpu" or faster_type() == "bfloat16"


def gathered(parameter: Tensor, mean: Tensor) -> Tensor:
    """The matrices to orthogonalise. Of a sharded parameter `mean` is of this rank's part: a matrix, whose rows lie on all
    ranks, is gathered, and each rank does the same work; of a stack a rank holds whole matrices."""
    if not is_sharded(parameter) or parameter.dim() > 2:
        return mean
    return whole(part_like(parameter, mean))


def own_rows(parameter: Tensor, direction: Tensor) -> Tensor:
    """This rank's part of what `gathered` gave and Muon made orthogonal."""
    if not is_sharded(parameter) or parameter.dim() > 2:
        return direction
    return direction[slice(*rows_of(parameter))]


def gradients_of(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Of parameters that have one."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _of_one_shape(parameters: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Matrices and stacks of them, together where they are of one shape or its transpose."""
    groups: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
    for parameter in parameters:
        groups[tuple(sorted(parameter.shape[-2:]))].append(parameter)
    return groups.values()


def _orthogonalise_together(alike: Sequence[Tensor]) -> list[Tensor]:
    """`orthogonalise` of each, in bfloat16 and in one product; float32 comes back."""
    wide = [matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT for matrices in alike]
    stacks = [_stack(matrices) for matrices in wide]
    together = orthogonalise(torch.cat(stacks).bfloat16()).float().split([len(stack) for stack in stacks])
    parts = [part.reshape(matrices.shape) for part, matrices in zip(together, wide, strict=True)]
    return [part if part.shape == original.shape else part.mT for part, original in zip(parts, alike, strict=True)]


def _stack(matrices: Tensor) -> Tensor:
    """(N, R, C), N of 1 for a matrix."""
    return matrices.flatten(0, -3) if matrices.dim() > 2 else matrices[None]


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest matrix with equal singular values, for each matrix (..., R, C), by five Newton-Schulz iterations."""
    a, b, c = NEWTON_SCHULZ
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    x: Tensor = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrices.shape[-2] <= matrices.shape[-1] else x.mT
