"""The small parts: RMSNorm and SwiGLU with hand-written backward passes, and the dense MLP.

Eager PyTorch would take about three times as many passes over memory for each of them, which on CPUs is what costs. There,
kernels/elementwise.cpp takes a single one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cogitate.kernels import elementwise, runs_natively
from cogitate.model.linear import Linear, weight_gradient


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last dimension (arXiv:1910.07467), the statistics in float32."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        if runs_natively(x, self.weight):
            return _native_rms_norm(x, self.weight, self.eps)
        if x.dtype != torch.float32 or not x.is_cpu:  # a device has one kernel for it, forward and backward
            return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)
        return _rms_norm(x.reshape(-1, x.shape[-1]), self.weight, self.eps).view(x.shape)


class _NativeRMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, eps: float) -> Tensor:
        out, inverse_N = elementwise.rms_norm(x, weight_D, eps)
        ctx.save_for_backward(x, weight_D, inverse_N)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x_grad, weight_grad_D = elementwise.rms_norm_backward(grads[0], *ctx.saved_tensors)
        return x_grad, weight_grad_D, None


_native_rms_norm: Callable[[Tensor, Tensor, float], Tensor] = _NativeRMSNorm.apply


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, weight_D: Tensor, eps: float) -> Tensor:
        norm_N1 = torch.linalg.vector_norm(x_ND, dim=-1, keepdim=True)
        inverse_N1 = norm_N1.square_().div_(x_ND.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x_ND, weight_D, inverse_N1)
        normed_ND: Tensor = (x_ND * inverse_N1).mul_(weight_D)
        return normed_ND

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        x_ND, weight_D, inverse_N1 = ctx.saved_tensors
        grad_ND = grads[0]
        product_ND = grad_ND * x_ND
        weight_grad_D = torch.mv(product_ND.t(), inverse_N1.squeeze(1))
        coefficient_N1 = torch.mv(product_ND, weight_D).unsqueeze_(1)
        coefficient_N1.mul_(inverse_N1.pow(3)).div_(-x_ND.shape[-1])
        x_grad_ND = torch.mul(grad_ND, weight_D, out=product_ND).mul_(inverse_N1)
        return x_grad_ND.addcmul_(x_ND, coefficient_N1), weight_grad_D, None


_rms_norm: Callable[[Tensor, Tensor, float], Tensor] = _RMSNorm.apply


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up, where gate and up are the halves of the last dimension (arXiv:2002.05202)."""
    return _swiglu(gate_up)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        return swiglu_values(gate_up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return swiglu_backward(grads[0], ctx.saved_tensors[0])


_swiglu: Callable[[Tensor], Tensor] = _SwiGLU.apply


def swiglu_values(gate_up: Tensor) -> Tensor:
    """swiglu outside autograd."""
    if runs_natively(gate_up):
        return elementwise.swiglu(gate_up)
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate).mul_(up)


def swiglu_backward(grad: Tensor, gate_up: Tensor) -> Tensor:
    """The gradient of gate_up, given that of its swiglu."""
    if runs_natively(grad, gate_up):
        return elementwise.swiglu_backward(grad, gate_up)
    gate, up = gate_up.chunk(2, dim=-1)
    result = torch.empty_like(gate_up)
    gate_grad, up_grad = result.chunk(2, dim=-1)
    torch.mul(grad, F.silu(gate), out=up_grad)
    torch.ops.aten.silu_backward.grad_input(grad * up, gate, grad_input=gate_grad)
    return result


class _DownOfSwiGLU(torch.autograd.Function):
    """The product of swiglu(gate_up) and a weight that keeps gate_up alone, half of what both would keep together."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(gate_up, weight_OI)
        return F.linear(swiglu_values(gate_up), weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gate_up, weight_OI = ctx.saved_tensors
        grad_NO, inner_grad = grads[0].flatten(0, -2), grads[0] @ weight_OI
        inner = torch.empty_like(inner_grad)
        gate_up_grad = elementwise.swiglu_backward(inner_grad, gate_up, out=inner)
        bias_grad = grad_NO.sum(0) if ctx.needs_input_grad[2] else None
        return gate_up_grad, weight_gradient(grad_NO, inner.flatten(0, -2)), bias_grad


_down_of_swiglu: Callable[[Tensor, Tensor, Tensor | None], Tensor] = _DownOfSwiGLU.apply


class MLP(nn.Module):
    """down(silu(gate(x)) * up(x)); gate and up are one matrix multiplication."""

    def __init__(self, hidden_size: int, intermediate_size: int, *, bias: bool = False):
        super().__init__()
        self.gate_up_proj = Linear(hidden_size, 2 * intermediate_size, bias=bias)
        self.down_proj = Linear(intermediate_size, hidden_size, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate_up, down = self.gate_up_proj(x), self.down_proj
        if isinstance(down, Linear) and gate_up.requires_grad and down.is_trained_natively(gate_up):
            return _down_of_swiglu(gate_up, down.weight, down.bias)
        out: Tensor = down(swiglu(gate_up))
        return out
