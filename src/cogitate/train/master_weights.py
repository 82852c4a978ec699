"""Training a bfloat16 model: the optimiser moves float32 copies of its weights, and the model holds them rounded.

Eight bits of precision would lose most updates of a small learning rate (Mixed Precision Training, arXiv:1710.03740, section
3.1; DeepSeek-V3, arXiv:2412.19437, section 3.3.2, keeps float32 masters, too).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from cogitate.train.adamw import adamw_step, is_adamw, norm_of


class MasterWeights:
    """An optimiser over float32 masters, used like the optimiser itself.

    As soon as a backward pass has made a gradient it is taken from the model, and those of further micro-batches are added to
    it in float32: sums lose nothing, and a second set of gradients never exists. A step uses them up.

    Attributes:
        masters: name of a trained parameter -> its master.
        gradients: its gradient, of the model's type where it is that of a single backward pass.
    """

    def __init__(self, model: nn.Module, make: Callable[[MasterWeights], torch.optim.Optimizer]):
        """
        Args:
            make: builds the optimiser from an object with `named_parameters`, which this is.
        """
        self._trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.masters = {name: nn.Parameter(parameter.detach().float()) for name, parameter in self._trained.items()}
        self.gradients: dict[str, Tensor] = {}
        self._scale = 1.0
        for name, parameter in self._trained.items():
            parameter.register_post_accumulate_grad_hook(gradient_taker(name, self.gradients))
        self._optimiser = make(self)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The masters under the names of the model's parameters, in their order."""
        yield from self.masters.items()

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

    def clip_gradients(self, limit: float) -> float:
        """The norm of the gradients, which the next step scales down to `limit` where it is above that."""
        norm = norm_of(self.gradients.values())
        self._scale = limit / (norm + 1e-6) if norm + 1e-6 > limit else 1.0
        return norm

    @torch.no_grad()
    def step(self) -> None:
        """Move the masters by their gradients, and round them into the model."""
        if is_adamw(self._optimiser):
            moved = {self.masters[name]: (gradient, self._trained[name]) for name, gradient in self.gradients.items()}
            adamw_step(self._optimiser, moved, self._scale)
        else:
            for name, gradient in self.gradients.items():
                self.masters[name].grad = gradient.float() * self._scale
            self._optimiser.step()
            self._optimiser.zero_grad()
            self.write_back()
        self.zero_grad()

    @torch.no_grad()
    def write_back(self) -> None:
        for name, parameter in self._trained.items():
            parameter.copy_(self.masters[name])


Optimiser = torch.optim.Optimizer | MasterWeights


def optimiser_for(model: nn.Module, make: Callable[[nn.Module | MasterWeights], torch.optim.Optimizer]) -> Optimiser:
    """`make(model)` for a float32 model, and through masters for one of fewer bits."""
    dtypes = {parameter.dtype for parameter in model.parameters() if parameter.requires_grad}
    return make(model) if dtypes <= {torch.float32} else MasterWeights(model, make)


def clip_gradients(model: nn.Module, optimiser: Optimiser, limit: float) -> float:
    """The norm of the gradients that a step would use; where it is above `limit`, the step uses them scaled down to that."""
    if isinstance(optimiser, MasterWeights):
        return optimiser.clip_gradients(limit)
    return float(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))


def gradient_taker(name: str, gradients: dict[str, Tensor]) -> Callable[[Tensor], None]:
    """A hook that moves a parameter's gradient to `gradients`, or adds it to the one there."""

    def take(parameter: Tensor) -> None:
        assert parameter.grad is not None
        gradient, parameter.grad = parameter.grad, None
        gradients[name] = gradients[name].float().add_(gradient) if name in gradients else gradient

    return take
