"""AdamW over float32 masters in one pass over memory, by native/adamw.cpp: the step and state of torch.optim.AdamW(fused=True).

PyTorch needs a pass each to turn gradients into float32, to clip them, to move the masters and to round them into the model.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from cogitate.model.native import function, runs_natively


def takes_one_pass(optimiser: torch.optim.Optimizer, weights: Iterable[Tensor]) -> bool:
    """Whether `adamw_step` can do this optimiser's step for masters of these weights."""
    if type(optimiser) is not torch.optim.AdamW or any(g["amsgrad"] or g["maximize"] for g in optimiser.param_groups):
        return False
    return all(w.dtype == torch.bfloat16 and w.is_contiguous() and runs_natively(w) for w in weights)


def adamw_step(optimiser: torch.optim.Optimizer, moved: Mapping[nn.Parameter, tuple[Tensor, Tensor]], scale: float) -> None:
    """Move masters, and set the weights to them, rounded.

    Args:
        moved: master -> its gradient, float32 or bfloat16, and its weight.
        scale: what gradients are multiplied by first.
    """
    for group in optimiser.param_groups:
        (beta1, beta2), rate = group["betas"], float(group["lr"])
        for master in group["params"]:
            if master not in moved:
                continue
            gradient, weight = moved[master]
            gradient = gradient.contiguous()
            state = optimiser.state[master]
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(master), torch.zeros_like(master)
            state["step"] += 1
            steps = float(state["step"])
            unbiased_rate, unbiased_root = rate / (1 - beta1**steps), (1 - beta2**steps) ** -0.5
            kept = 1 - rate * group["weight_decay"]
            factors = scale, beta1, beta2, unbiased_rate, kept, unbiased_root, group["eps"]
            changed = master.data_ptr(), state["exp_avg"].data_ptr(), state["exp_avg_sq"].data_ptr(), weight.data_ptr()
            run = function("adamw", gradient.dtype, takes="pfffffffipppp")
            run(gradient.data_ptr(), *factors, master.numel(), *changed)


def norm_of(gradients: Iterable[Tensor]) -> float:
    """The norm of all of them together."""
    total = 0.0
    for gradient in gradients:
        if runs_natively(gradient):
            run = function("squared_norm", gradient.dtype, returns=ctypes.c_double, takes="pi")
            total += run(gradient.contiguous().data_ptr(), gradient.numel())
        else:
            total += float(torch.linalg.vector_norm(gradient, dtype=torch.float32)) ** 2
    return total**0.5
