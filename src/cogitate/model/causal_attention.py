"""Attention of whole texts, as training needs it: by kernels/causal_attention.cpp on a CPU, by flex attention with CUDA, by
PyTorch's own elsewhere; and of a few new tokens over what a cache has been read for. Steps on a device: model/paged.

On a CPU PyTorch meets every query with every key of a row, and its backward pass in bfloat16 is slow: packed rows of SmolLM2
take five times as long.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import logging
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cogitate.kernels import function, runs_natively
from cogitate.model.visibility import Visibility

log = logging.getLogger(__name__)

FLEX_FORMS = 64  # that flex attention is compiled for in a process, at most


def attend(q_BTHK: Tensor, k_BTJK: Tensor, v_BTJV: Tensor, seen: Visibility, scale: float) -> Tensor:
    """softmax(scale q k^T) v over the keys that each query sees, (B, T, H, V); H is a multiple of J."""
    if _is_native(q_BTHK, v_BTJV):
        return _causal_attention(q_BTHK, k_BTJK, v_BTJV, seen.ranges, scale)
    if q_BTHK.is_cuda and not seen.causal and (flex := compiled_flex_attention()) is not None:
        return attend_in_blocks(q_BTHK, k_BTJK, v_BTJV, seen, scale, flex)
    return attend_masked(q_BTHK, k_BTJK, v_BTJV, seen.mask, scale)


def attend_masked(q_BTHK: Tensor, k_BSJK: Tensor, v_BSJV: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """The same with an additive mask that broadcasts to (B, 1, T, S); None: plain causal."""
    out_BHTV = F.scaled_dot_product_attention(
        q_BTHK.transpose(1, 2),
        k_BSJK.transpose(1, 2),
        v_BSJV.transpose(1, 2),
        attn_mask=mask,
        is_causal=mask is None,
        scale=scale,
        enable_gqa=q_BTHK.shape[2] != k_BSJK.shape[2],
    )
    return out_BHTV.transpose(1, 2)


def attend_in_blocks(
    q_BTHK: Tensor, k_BTJK: Tensor, v_BTJV: Tensor, seen: Visibility, scale: float, flex: Callable[..., Tensor]
) -> Tensor:
    """`attend` by flex attention, which passes over blocks that nobody sees and makes no (T, T) numbers. For a block mask torch
    makes truth values (B, T, T), once for all layers."""
    heads_first = (x.transpose(1, 2) for x in (q_BTHK, k_BTJK, v_BTJV))
    enable_gqa = q_BTHK.shape[2] != k_BTJK.shape[2]
    return flex(*heads_first, block_mask=seen.block_mask, scale=scale, enable_gqa=enable_gqa).transpose(1, 2)


@functools.cache
def compiled_flex_attention() -> Callable[..., Tensor] | None:
    """Flex attention as one kernel; None (said once) where torch cannot compile for CUDA: by itself it makes all numbers."""
    if importlib.util.find_spec("triton") is None:
        log.warning("no Triton: packed rows are attended to with dense masks, which takes more memory and time")
        return None
    return compiled_for_each_form("inductor")


def compiled_for_each_form(backend: str) -> Callable[..., Tensor]:
    """Flex attention compiled by a backend of torch for each form of its inputs when it first meets it.

    Forms differ in type, head widths, whether there is a gradient, and whether there are one or more rows and blocks, but not
    in how many. After eight forms, which one model in training comes to, torch would by default go on uncompiled and make all
    (T, T) numbers. Here there is room for every model of a recipe, and beyond it an error.
    """
    from torch._dynamo import config
    from torch.nn.attention.flex_attention import flex_attention

    compiled: Callable[..., Tensor] = torch.compile(flex_attention, dynamic=True, backend=backend)

    def run(*args: Any, **kwargs: Any) -> Tensor:
        with config.patch(recompile_limit=FLEX_FORMS, fail_on_recompile_limit_hit=True):
            return compiled(*args, **kwargs)

    return run


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, ranges_BT5: Tensor, scale: float) -> Tensor:
        q, k, v = _readable(q), _readable(k), _readable(v)
        rows, tokens, heads, _ = q.shape
        out = q.new_empty(rows, tokens, heads, v.shape[-1])
        logsumexp = torch.empty(rows, heads, tokens, dtype=torch.float32, device=q.device)
        shape = _shape(q, k, v, ranges_BT5, scale)
        kernel = function("attention_forward", q.dtype)
        kernel(shape, _view(q), _view(k), _view(v), _pointer(ranges_BT5), _view(out), _pointer(logsumexp))
        if any(ctx.needs_input_grad[:3]):
            ctx.save_for_backward(q, k, _alone(v), ranges_BT5, out, logsumexp)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, ranges_BT5, out, logsumexp = ctx.saved_tensors
        out_grad, made = _readable(grads[0]), [x.new_empty(x.shape) for x in (q, k, v)]
        kernel = function("attention_backward", q.dtype)
        shape = _shape(q, k, v, ranges_BT5, ctx.scale)
        views = [_view(x) for x in (out, out_grad, *made)]
        kernel(shape, _view(q), _view(k), _view(v), _pointer(ranges_BT5), views[0], _pointer(logsumexp), *views[1:])
        return *made, None, None


_causal_attention: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor] = _CausalAttention.apply


class _Shape(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("rows", "tokens", "heads", "kv_heads", "width", "v_width")),
        ("scale", ctypes.c_float),
        ("range_rows", ctypes.c_int32),
    )


class _View(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("row", "token", "head")))


def _is_native(q: Tensor, v: Tensor) -> bool:
    if not runs_natively(q, v):
        return False
    return q.dtype == torch.float32 or (q.shape[-1] % 2 == 0 and v.shape[-1] % 2 == 0)


def _readable(x: Tensor) -> Tensor:
    """Elements of a head side by side, and in bfloat16 heads and tokens at even distances, since two are read at once."""
    even = x.dtype == torch.float32 or all(step % 2 == 0 for step in x.stride()[:-1])
    return x if x.stride(-1) == 1 and even and x.data_ptr() % 4 == 0 else x.clone(memory_format=torch.contiguous_format)


def _alone(x: Tensor) -> Tensor:
    """The same numbers without what stands beside them: values are a part of a projection, all of which would be kept."""
    return x if x.untyped_storage().nbytes() == x.nbytes else x.clone(memory_format=torch.contiguous_format)


def _shape(q: Tensor, k: Tensor, v: Tensor, ranges_BT5: Tensor, scale: float) -> Any:
    return ctypes.byref(_Shape(*q.shape[:3], k.shape[2], q.shape[3], v.shape[3], scale, ranges_BT5.shape[0]))


def _view(x: Tensor) -> Any:
    return ctypes.byref(_View(x.data_ptr(), *x.stride()[:3]))


def _pointer(x: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.data_ptr())
