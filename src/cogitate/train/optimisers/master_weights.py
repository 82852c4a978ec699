"""Training a bfloat16 model: the optimiser moves float32 masters of its weights, and the model holds them rounded.

Eight bits of precision would lose most updates of a small learning rate (Mixed Precision Training, arXiv:1710.03740, section
3.1; DeepSeek-V3, arXiv:2412.19437, section 3.3.2, keeps float32 masters, too).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cogitate.errors import ConfigError
from cogitate.train.optimisers.adamw import adamw_step, is_adamw, master_of, norm_of, set_master
from cogitate.train.optimisers.uncompiled import do_without_compiler
from cogitate.train.sharded.parts import is_sharded, local
from cogitate.train.sharded.ranks import ALONE, Ranks


class MasterWeights:
    """An optimiser of a bfloat16 model that moves float32 masters, used like the optimiser itself.

    As soon as a backward pass has made a gradient it is taken from the model, and those of further micro-batches are added to
    it in float32: sums lose nothing, and a second set of gradients never exists. A step uses them up. Of a
    sharded parameter, all of this is of this rank's part.

    Attributes:
        remainders: name of a trained parameter -> what it lacks of its master (adamw.py), int16.
        gradients: its gradient, of the model's type where it is that of a single backward pass.
    """

    def __init__(self, model: nn.Module, optimiser: torch.optim.Optimizer):
        """
        Args:
            optimiser: of the model's own parameters.
        """
        self._trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert all(parameter.dtype == torch.bfloat16 for parameter in self._trained.values())
        self.remainders = {name: torch.zeros_like(local(p), dtype=torch.int16) for name, p in self._trained.items()}
        self.gradients: dict[str, Tensor] = {}
        self._scale = 1.0
        for name, parameter in self._trained.items():
            parameter.register_post_accumulate_grad_hook(gradient_taker(name, self.gradients))
        self._optimiser = optimiser

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self._optimiser.param_groups

    @property
    def state(self) -> Any:
        return self._optimiser.state

    def zero_grad(self, set_to_none: bool = True) -> None:
        assert set_to_none, "no gradient is kept as zeros"
        self.gradients.clear()
        self._scale = 1.0

    def clip_gradients(self, limit: float, ranks: Ranks = ALONE) -> float:
        """The norm of the gradients, which the next step scales down to `limit` where it is above that."""
        norm = norm_over(ranks, norm_of(self.gradients.values()))
        self._scale = limit / (norm + 1e-6) if norm + 1e-6 > limit else 1.0
        return norm

    @torch.no_grad()
    def step(self) -> None:
        """Move the masters by their gradients; the model's weights become these, rounded."""
        if is_adamw(self._optimiser):
            moved = {self._trained[name]: (gradient, self.remainders[name]) for name, gradient in self.gradients.items()}
            adamw_step(self._optimiser, moved, self._scale)
        else:
            self._step_of_float32()
        self.zero_grad()

    def _step_of_float32(self) -> None:
        """The optimiser's own step: for as long as it takes, parameters are their masters."""
        weights = {name: self._trained[name].data for name in self.gradients}
        for name, weight in weights.items():
            parameter = self._trained[name]
            parameter.data = master_of(weight, self.remainders[name])
            parameter.grad = self.gradients[name].float() * self._scale
        self._optimiser.step()
        self._optimiser.zero_grad()
        for name, weight in weights.items():
            parameter = self._trained[name]
            set_master(weight, self.remainders[name], parameter.data)
            parameter.data = weight


Optimiser = torch.optim.Optimizer | MasterWeights


def optimiser_for(model: nn.Module, make: Callable[[nn.Module], torch.optim.Optimizer]) -> Optimiser:
    """`make(model)`, which for a model of fewer bits than float32 moves masters.

    Raises:
        ConfigError: masters of sharded weights can be moved by AdamW alone.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if all(parameter.is_cpu for parameter in trained):
        do_without_compiler()
    optimiser = make(model)
    if {parameter.dtype for parameter in trained} <= {torch.float32}:
        return optimiser
    if not is_adamw(optimiser) and any(is_sharded(parameter) for parameter in trained):
        raise ConfigError("several trainers move bfloat16 weights by AdamW alone: set optimiser=adamw or runtime.dtype=float32")
    return MasterWeights(model, optimiser)


def clip_gradients(model: nn.Module, optimiser: Optimiser, limit: float, ranks: Ranks = ALONE) -> float:
    """The norm of the gradients that a step would use, over the parts of all ranks; where it is above `limit`, the step uses
    them scaled down to that."""
    if isinstance(optimiser, MasterWeights):
        return optimiser.clip_gradients(limit, ranks)
    if ranks.count == 1:
        return float(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))
    gradients = [local(parameter.grad) for parameter in model.parameters() if parameter.grad is not None]
    norm = norm_over(ranks, float(torch.nn.utils.get_total_norm(gradients)))
    torch._foreach_mul_(gradients, min(1.0, limit / (norm + 1e-6)))
    return norm


def norm_over(ranks: Ranks, norm: float) -> float:
    """The norm of all ranks' parts together, from that of this rank's."""
    return norm if ranks.count == 1 else ranks.added([norm**2])[0] ** 0.5


def gradient_taker(name: str, gradients: dict[str, Tensor]) -> Callable[[Tensor], None]:
    """A hook that moves a parameter's gradient to `gradients`, or adds it to the one there."""

    def take(parameter: Tensor) -> None:
        assert parameter.grad is not None
        gradient, parameter.grad = local(parameter.grad), None
        gradients[name] = gradients[name].float().add_(gradient) if name in gradients else gradient

    return take
