"""Training a bfloat16 model: the optimiser moves float32 copies of its weights, and the model holds them rounded.

Eight bits of precision would lose most updates of a small learning rate (Mixed Precision Training, arXiv:1710.03740, section
3.1; DeepSeek-V3, arXiv:2412.19437, section 3.3.2, keeps float32 masters, too).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


class MasterWeights:
    """An optimiser over float32 masters, used like the optimiser itself.

    As soon as a backward pass has made a gradient it is added to its master's, in float32, and the model's own is freed: sums
    over micro-batches lose nothing, and a second set of gradients never exists.

    Attributes:
        masters: name of a trained parameter -> its master.
    """

    def __init__(self, model: nn.Module, make: Callable[[MasterWeights], torch.optim.Optimizer]):
        """
        Args:
            make: builds the optimiser from an object with `named_parameters`, which this is.
        """
        self._trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.masters = {name: nn.Parameter(parameter.detach().float()) for name, parameter in self._trained.items()}
        for name, parameter in self._trained.items():
            parameter.register_post_accumulate_grad_hook(gradient_taker(self.masters[name]))
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
        self._optimiser.zero_grad(set_to_none)

    def step(self) -> None:
        """Move the masters by their gradients, and round them into the model."""
        self._optimiser.step()
        self.write_back()

    @torch.no_grad()
    def write_back(self) -> None:
        for name, parameter in self._trained.items():
            parameter.copy_(self.masters[name])


Optimiser = torch.optim.Optimizer | MasterWeights


def optimiser_for(model: nn.Module, make: Callable[[nn.Module | MasterWeights], torch.optim.Optimizer]) -> Optimiser:
    """`make(model)` for a float32 model, and through masters for one of fewer bits."""
    dtypes = {parameter.dtype for parameter in model.parameters() if parameter.requires_grad}
    return make(model) if dtypes <= {torch.float32} else MasterWeights(model, make)


def trained_parameters(model: nn.Module, optimiser: Optimiser) -> list[nn.Parameter]:
    """The parameters whose gradients a step uses: to clip these."""
    return list(optimiser.masters.values() if isinstance(optimiser, MasterWeights) else model.parameters())


def gradient_taker(master: nn.Parameter) -> Callable[[Tensor], None]:
    """A hook that moves a parameter's gradient to its master."""

    def take(parameter: Tensor) -> None:
        assert parameter.grad is not None
        if master.grad is None:
            master.grad = parameter.grad.to(master.dtype)
        else:
            master.grad += parameter.grad
        parameter.grad = None

    return take
