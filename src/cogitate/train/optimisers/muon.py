"""Muon for matrices, AdamW for everything else: one optimiser.

DeepSeek-V3 was trained by AdamW alone (section 4.2). Muon (K. Jordan 2024; scaled as in Moonlight, arXiv:2502.16982, section
2.2) makes every singular value of an update equal, and needs about half the tokens: what a laptop has least of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

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
    """

    def __init__(self, model: nn.Module, learning_rate: float, weight_decay: float):
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

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update from the gradients; `closure` is not used."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                held = local(parameter).mul_(1 - group["lr"] * group["weight_decay"])
                update = self._muon if group["muon"] else self._adamw
                held.add_(update(parameter, local(parameter.grad)), alpha=-group["lr"])

    def _muon(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(local(parameter))
        momentum: Tensor = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        direction = direction_of(parameter, gradient.lerp(momentum, MOMENTUM))
        scale: float = RMS_OF_ADAMW * max(parameter.shape[-2:]) ** 0.5
        return direction * scale

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


def direction_of(parameter: Tensor, mean: Tensor) -> Tensor:
    """`orthogonalise` of a parameter's mean gradient. Of a sharded one both are of this rank's part: a matrix, whose rows
    lie on all ranks, is gathered, and each rank does the same work; of a stack a rank holds whole matrices."""
    if not is_sharded(parameter) or parameter.dim() > 2:
        return orthogonalise(mean)
    return orthogonalise(whole(part_like(parameter, mean)))[slice(*rows_of(parameter))]


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest matrix with equal singular values, for each matrix (..., R, C), by five Newton-Schulz iterations."""
    a, b, c = NEWTON_SCHULZ
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    x: Tensor = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrices.shape[-2] <= matrices.shape[-1] else x.mT
