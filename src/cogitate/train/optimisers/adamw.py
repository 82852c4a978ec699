"""AdamW over float32 masters of bfloat16 weights: the step of torch.optim.AdamW with its moments held in bfloat16, as
DeepSeek-V3 holds them (arXiv:2412.19437, section 3.3.2), in half the memory. An average whose gradients hardly change stops
where a step of it is rounded away: at decay rates of 0.9 and 0.95 within 4 % and 8 % of where it would come to.

A master is held as its weight, which is it rounded, and the 16 bits that this lacks: AdamW then keeps 6 bytes of its own for a
weight, where float32 masters and moments are 12. kernels/adamw.cpp does a step in one pass over memory; PyTorch needs one each
to turn gradients into float32, to clip them, to move the masters and to round them into the model.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cogitate.algorithms.numbers import added, as_floats
from cogitate.kernels import function, runs_natively
from cogitate.train.sharded.parts import local

MOMENTS = "exp_avg", "exp_avg_sq"
BETAS = (0.9, 0.95)  # DeepSeek-V3, section 4.2
NUMBERS_TOGETHER = 1 << 26  # of the parameters that are moved as one, at most: 256 MB for each float32 of a number


class AdamW(torch.optim.AdamW):
    """torch's fused one, whose own `step` loads torch's compiler (`do_without_compiler`)."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update from the gradients, with the bits of torch's; `closure` is not used."""
        assert closure is None
        for group in self.param_groups:
            gradients = {parameter: parameter.grad for parameter in group["params"] if parameter.grad is not None}
            if not gradients:
                continue
            for parameter in gradients:
                if not (state := self.state[parameter]):
                    state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                    state |= {key: torch.zeros_like(parameter, memory_format=torch.preserve_format) for key in MOMENTS}
            steps, means, squares = ([self.state[parameter][key] for parameter in gradients] for key in ("step", *MOMENTS))
            torch._foreach_add_(steps, 1)
            (beta1, beta2), rate, decay, eps = (group[key] for key in ("betas", "lr", "weight_decay", "eps"))
            torch._fused_adamw_(
                list(gradients), list(gradients.values()), means, squares, [], steps,
                lr=rate, beta1=beta1, beta2=beta2, weight_decay=decay, eps=eps, amsgrad=False, maximize=False,
            )  # fmt: skip


def make_adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """AdamW with decay on matrices alone: norms, biases and embeddings of one dimension are left where they are."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=learning_rate, betas=BETAS, fused=True)


def is_adamw(optimiser: torch.optim.Optimizer) -> bool:
    """Whether `adamw_step` does this optimiser's step."""
    ours = type(optimiser) in (AdamW, torch.optim.AdamW)
    return ours and not any(group["amsgrad"] or group["maximize"] for group in optimiser.param_groups)


def master_of(weight: Tensor, remainder: Tensor) -> Tensor:
    """The float32 master of a bfloat16 weight.

    The weight is the master's upper half rounded (ties away from zero), the remainder its lower half as a signed number:
    negative where the weight has been rounded up, so that their sum is the master.
    """
    return ((weight.view(torch.int16).int() << 16) + remainder).view(torch.float32)


def set_master(weight: Tensor, remainder: Tensor, master: Tensor) -> None:
    """The inverse of `master_of`, in place."""
    bits = master.view(torch.int32)
    weight.view(torch.int16).copy_((bits + 0x8000) >> 16)
    remainder.copy_(bits)  # its lower half


@torch.no_grad()
def adamw_step(optimiser: torch.optim.Optimizer, moved: Mapping[nn.Parameter, tuple[Tensor, Tensor]], scale: float) -> None:
    """Move masters.

    Args:
        moved: bfloat16 weight -> its gradient, float32 or bfloat16, and the remainder of its master; of this rank's part where
            the weight is sharded.
        scale: what gradients are multiplied by first.
    """
    for group in optimiser.param_groups:
        together = defaultdict[float, list[Moved]](list)  # those on a device, by their steps
        for weight in group["params"]:
            if weight in moved:
                gradient, remainder = moved[weight]
                state, weight = optimiser.state[weight], local(weight)
                if not state:
                    state["step"] = torch.zeros(())
                    state |= {key: torch.zeros_like(weight) for key in MOMENTS}
                for key in MOMENTS:
                    state[key] = state[key].to(torch.bfloat16)  # a checkpoint of another program may hold float32 ones
                state["step"] += 1
                if not weight.is_cpu:
                    together[float(state["step"])].append(Moved(weight, remainder, gradient, state))
                    continue
                native = runs_natively(weight) and weight.is_contiguous()
                (move_natively if native else move)(weight, remainder, gradient, scale, state, group)
        for moved_together in together.values():
            for run in runs_of([each.weight.numel() for each in moved_together], NUMBERS_TOGETHER):
                move_together(moved_together[run], scale, group)


class Moved(NamedTuple):
    """What `move` reads and changes of one parameter."""

    weight: Tensor
    remainder: Tensor
    gradient: Tensor
    state: Mapping[str, Tensor]


def runs_of(sizes: Sequence[int], numbers: int) -> Iterator[slice]:
    """Runs of parameters of these sizes that have at most so many numbers; one at least."""
    first = total = 0
    for place, size in enumerate(sizes):
        if place > first and total + size > numbers:
            yield slice(first, place)
            first, total = place, 0
        total += size
    yield slice(first, len(sizes))


def move_together(moved: Sequence[Moved], scale: float, group: Mapping[str, Any]) -> None:
    """`move` of several masters of equal steps as one: as many launches as for one."""
    each = [[one.weight, one.remainder, one.gradient, *(one.state[key] for key in MOMENTS)] for one in moved]
    weight, remainder, gradient, *moments = (torch.cat([part.flatten() for part in parts]) for parts in zip(*each, strict=True))
    state = {"step": moved[0].state["step"], **dict(zip(MOMENTS, moments, strict=True))}
    move(weight, remainder, gradient, scale, state, group)
    sizes = [one.weight.numel() for one in moved]
    changed = ((0, weight), (1, remainder), *enumerate(moments, start=3))
    for place, flat in changed:
        old = [parts[place] for parts in each]
        torch._foreach_copy_(old, [new.view_as(one) for new, one in zip(flat.split(sizes), old, strict=True)])


def move_natively(
    weight: Tensor, remainder: Tensor, gradient: Tensor, scale: float, state: Mapping[str, Tensor], group: Mapping[str, Any]
) -> None:
    """`move` by the kernel."""
    (beta1, beta2), rate, steps, gradient = group["betas"], float(group["lr"]), float(state["step"]), gradient.contiguous()
    unbiased_rate, unbiased_root = rate / (1 - beta1**steps), (1 - beta2**steps) ** -0.5
    factors = scale, beta1, beta2, unbiased_rate, 1 - rate * group["weight_decay"], unbiased_root, group["eps"]
    held = weight, remainder, *(state[key] for key in MOMENTS)
    assert all(x.is_contiguous() and x.shape == gradient.shape for x in held), [gradient.shape, *(x.shape for x in held)]
    changed = state["exp_avg"].data_ptr(), state["exp_avg_sq"].data_ptr(), weight.data_ptr(), remainder.data_ptr()
    run = function("adamw", gradient.dtype, takes="pfffffffipppp")
    run(gradient.data_ptr(), *factors, weight.numel(), *changed)


def move(
    weight: Tensor, remainder: Tensor, gradient: Tensor, scale: float, state: Mapping[str, Tensor], group: Mapping[str, Any]
) -> None:
    """One master by its gradient, in PyTorch."""
    (beta1, beta2), rate, steps = group["betas"], float(group["lr"]), float(state["step"])
    gradient = gradient.float() * scale
    mean = state["exp_avg"].float().lerp_(gradient, 1 - beta1)
    square = state["exp_avg_sq"].float().mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    root = square.sqrt().mul_((1 - beta2**steps) ** -0.5).add_(group["eps"])
    master = master_of(weight, remainder).mul_(1 - rate * group["weight_decay"])
    set_master(weight, remainder, master.addcdiv_(mean, root, value=-rate / (1 - beta1**steps)))
    state["exp_avg"].copy_(mean)
    state["exp_avg_sq"].copy_(square)


def norm_of(gradients: Iterable[Tensor]) -> float:
    """The norm of all of them together. Of those on a device the host waits once for all."""
    gradients = list(gradients)
    there = [gradient for gradient in gradients if not gradient.is_cpu]
    norms = torch._foreach_norm(there, 2, dtype=torch.float32) if there else ()
    total = added(norm**2 for norm in as_floats(norms))
    for gradient in gradients:
        if not gradient.is_cpu:
            continue
        if runs_natively(gradient):
            gradient = gradient.contiguous()
            run = function("squared_norm", gradient.dtype, returns=ctypes.c_double, takes="pi")
            total += run(gradient.data_ptr(), gradient.numel())
        else:
            total += float(torch.linalg.vector_norm(gradient, dtype=torch.float32)) ** 2
    norm: float = total**0.5
    return norm
