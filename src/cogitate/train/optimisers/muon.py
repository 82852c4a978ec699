"""Muon for matrices, AdamW for everything else: one optimiser.

DeepSeek-V3 was trained by AdamW alone (section 4.2). Muon (K. Jordan 2024; scaled as in Moonlight, arXiv:2502.16982, section
2.2) makes every singular value of an update equal, and needs about half the tokens: what a laptop has least of.

Orthogonalisation is a quarter of a small model's training step in float32, matrix by matrix. In bfloat16, as Jordan has it,
with all matrices of a shape in one product, it is a tenth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cogitate.kernels.isa import faster_type
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
            for parameter in ready:
                local(parameter).mul_(1 - group["lr"] * group["weight_decay"])
            by_adamw = ((parameter, self._adamw(parameter, local(parameter.grad))) for parameter in ready)
            for parameter, update in self._by_muon(ready) if group["muon"] else by_adamw:
                local(parameter).add_(update, alpha=-group["lr"])

    def _by_muon(self, parameters: Sequence[Tensor]) -> Iterable[tuple[Tensor, Tensor]]:
        for alike in _of_one_shape(parameters) if self._bfloat16 else ([parameter] for parameter in parameters):
            directions = [gathered(parameter, self._direction(parameter)) for parameter in alike]
            orthogonal = _orthogonalise_together(directions) if self._bfloat16 else map(orthogonalise, directions)
            for parameter, direction in zip(alike, orthogonal, strict=True):
                yield parameter, own_rows(parameter, direction) * (RMS_OF_ADAMW * max(parameter.shape[-2:]) ** 0.5)

    def _direction(self, parameter: Tensor) -> Tensor:
        """The gradient with Nesterov's momentum."""
        assert parameter.grad is not None
        gradient, state = local(parameter.grad), self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(local(parameter))
        momentum: Tensor = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)

    def _adamw(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"] = torch.zeros_like(local(parameter))
            state["exp_avg_sq"] = torch.zeros_like(local(parameter))
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


def _of_one_shape(parameters: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Matrices and stacks of them, together where they are of one shape or its transpose."""
    groups: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
    for parameter in parameters:
        groups[tuple(sorted(parameter.shape[-2:]))].append(parameter)
    return groups.values()


def _orthogonalise_together(alike: Sequence[Tensor]) -> list[Tensor]:
    """`orthogonalise` of each, in bfloat16 and in one product; float32 comes back."""
    wide = [matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT for matrices in alike]
    stacks = [matrices.flatten(0, -3) if matrices.dim() > 2 else matrices[None] for matrices in wide]
    together = orthogonalise(torch.cat(stacks).bfloat16()).float().split([len(stack) for stack in stacks])
    parts = [part.reshape(matrices.shape) for part, matrices in zip(together, wide, strict=True)]
    return [part if part.shape == original.shape else part.mT for part, original in zip(parts, alike, strict=True)]


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest matrix with equal singular values, for each matrix (..., R, C), by five Newton-Schulz iterations."""
    a, b, c = NEWTON_SCHULZ
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    x: Tensor = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrices.shape[-2] <= matrices.shape[-1] else x.mT
