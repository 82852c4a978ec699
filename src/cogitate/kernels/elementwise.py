"""What kernels/elementwise.cpp computes of whole tensors, those of which `runs_natively` is true. Outside autograd.

layers.py and rope.py make differentiable functions of it, and have the same in PyTorch.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from cogitate.kernels import function

Strides = ctypes.c_int64 * 3


def rms_norm(x: Tensor, weight_D: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x / rms(x) * weight over the last dimension, and 1 / rms(x), float32 (N,)."""
    assert weight_D.shape == x.shape[-1:], (weight_D.shape, x.shape)
    x_ND, weight_D = _rows(x), weight_D.contiguous()
    out, inverse_N = x.new_empty(x.shape), x.new_empty(x_ND.shape[0], dtype=torch.float32)
    run = function("rms_norm", x.dtype, takes="pipfiipp")
    run(x_ND.data_ptr(), x_ND.stride(0), weight_D.data_ptr(), eps, *x_ND.shape, out.data_ptr(), inverse_N.data_ptr())
    return out, inverse_N


def rms_norm_backward(grad: Tensor, x: Tensor, weight_D: Tensor, inverse_N: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of x and weight."""
    grad, x_ND, weight_D = grad.contiguous(), _rows(x), weight_D.contiguous()
    x_grad, weight_grad_D = x.new_empty(x.shape), torch.empty_like(weight_D)
    inputs = grad.data_ptr(), x_ND.data_ptr(), x_ND.stride(0), weight_D.data_ptr(), inverse_N.data_ptr()
    run = function("rms_norm_backward", x.dtype, takes="ppippiipp")
    run(*inputs, *x_ND.shape, x_grad.data_ptr(), weight_grad_D.data_ptr())
    return x_grad, weight_grad_D


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up, where gate and up are the halves of the last dimension."""
    assert gate_up.shape[-1] % 2 == 0, gate_up.shape
    gate_up = gate_up.contiguous()
    rows, width = gate_up.shape[:-1], gate_up.shape[-1] // 2
    out = gate_up.new_empty(*rows, width)
    run = function("swiglu", out.dtype, takes="piip")
    run(gate_up.data_ptr(), rows.numel(), width, out.data_ptr())
    return out


def swiglu_backward(grad: Tensor, gate_up: Tensor, out: Tensor | None = None) -> Tensor:
    """The gradient of gate_up; `out`, contiguous and of grad's shape, gets the values once more."""
    assert gate_up.shape == (*grad.shape[:-1], 2 * grad.shape[-1]), (grad.shape, gate_up.shape)
    assert out is None or (out.shape == grad.shape and out.is_contiguous()), out
    grad, gate_up = grad.contiguous(), gate_up.contiguous()
    result = torch.empty_like(gate_up)
    run = function("swiglu_backward", grad.dtype, takes="ppiipp")
    values = 0 if out is None else out.data_ptr()
    run(grad.data_ptr(), gate_up.data_ptr(), grad.shape[:-1].numel(), grad.shape[-1], result.data_ptr(), values)
    return result


def rotate_halves(x_BTHK: Tensor, rotation: Tensor, direction: float = 1.0) -> Tensor:
    """Rotate dimensions (0, R), (1, R + 1), ... of each head; back where `direction` is -1.

    Args:
        x_BTHK: (B, T, H, 2 * R), of any strides.
        rotation: complex64 that broadcasts to (B, T, H, R).
    """
    assert x_BTHK.shape[-1] % 2 == 0, x_BTHK.shape
    x = x_BTHK if x_BTHK.stride(-1) == 1 else x_BTHK.contiguous()
    out, half = x.new_empty(x.shape), x.shape[-1] // 2
    rotation = rotation.resolve_conj().contiguous().expand(*x.shape[:-1], half)
    strides, rotation_strides = Strides(*x.stride()[:-1]), Strides(*rotation.stride()[:-1])
    run = function("rotate_halves", x.dtype, takes="ppppfiiiip")
    inputs = x.data_ptr(), strides, rotation.data_ptr(), rotation_strides, direction
    run(*inputs, *x.shape[:-1], half, out.data_ptr())
    return out


def _rows(x: Tensor) -> Tensor:
    """(N, D), the numbers of a row beside each other."""
    x_ND = x.reshape(-1, x.shape[-1])
    return x_ND if x_ND.stride(1) == 1 else x_ND.contiguous()
