"""Linear layers, whose gradient of large bfloat16 weights kernels/weight_gradient.cpp computes on a CPU.

The product of a transposed matrix of gradients takes PyTorch two to three times as long as the forward pass, because it lays
that matrix out anew: with SmolLM2 that was more than half of the time of training's products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cogitate.kernels import function, runs_natively

LEAST_ROWS, LEAST_WIDTH = 1024, 512  # of a product: the kernel takes longer than PyTorch for smaller ones


class Linear(nn.Linear):
    """x weight^T + bias."""

    def forward(self, x: Tensor) -> Tensor:
        return (_linear if self.is_trained_natively(x) else F.linear)(x, self.weight, self.bias)

    def is_trained_natively(self, x: Tensor) -> bool:
        """Whether the gradient of its weight will be the kernel's, for an input of as many rows and of the type of x."""
        rows = x.shape[:-1].numel()
        return torch.is_grad_enabled() and self.weight.requires_grad and _has_kernel(x, self.weight, rows, *self.weight.shape)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight_OI)
        return F.linear(x, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_OI = ctx.saved_tensors
        grad_NO = grads[0].flatten(0, -2)
        x_grad = grads[0] @ weight_OI if ctx.needs_input_grad[0] else None
        bias_grad = grad_NO.sum(0) if ctx.needs_input_grad[2] else None
        return x_grad, weight_gradient(grad_NO, x.flatten(0, -2)), bias_grad


_linear: Callable[[Tensor, Tensor, Tensor | None], Tensor] = _Linear.apply


def weight_gradient(grad_NO: Tensor, x_NI: Tensor) -> Tensor:
    """grad^T x (O, I), summed in float32 in the order of the rows, of the type of both."""
    rows, outputs, inputs = len(grad_NO), grad_NO.shape[1], x_NI.shape[1]
    if not _has_kernel(grad_NO, x_NI, rows, outputs, inputs):
        return grad_NO.t() @ x_NI
    grad_NO, x_NI = (x if x.stride(1) == 1 else x.contiguous() for x in (grad_NO, x_NI))
    out_OI = x_NI.new_empty(outputs, inputs)
    run = function("weight_gradient", x_NI.dtype, takes="pipiiiip")
    sides = grad_NO.data_ptr(), grad_NO.stride(0), x_NI.data_ptr(), x_NI.stride(0)
    run(*sides, rows, outputs, inputs, out_OI.data_ptr())
    return out_OI


def _has_kernel(a: Tensor, b: Tensor, rows: int, outputs: int, inputs: int) -> bool:
    large = rows >= LEAST_ROWS and min(outputs, inputs) >= LEAST_WIDTH
    return large and a.dtype == torch.bfloat16 and runs_natively(a, b)
