"""Log-probabilities of given tokens without ever holding (tokens, vocabulary) logits of a large vocabulary."""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cogitate.device import memory_of_device
from cogitate.kernels import function, runs_natively
from cogitate.model.linear import weight_gradient

ROWS_IN_CACHE = 512  # rows handled at a time: with a small vocabulary their logits stay in a CPU's cache
LARGE_VOCABULARY = 8192  # from here on rows are as many as SCRATCH_BYTES hold: few rows would have the weights read many times
SCRATCH_BYTES = 1 << 29
KEPT_SCRATCH_BYTES = 1 << 24  # scratch memory that stays after a backward pass, at most
# Up to so many float32 logits (256 MB) are kept for the backward pass; others lie in scratch memory, and are computed again
# where somebody has overwritten them.
KEPT_LOGITS = 1 << 26
KEPT_SHARE = 32  # or this part of a GPU's memory


class _Memory(threading.local):
    """Scratch memory of a thread, and the number of who wrote it last: logits that nobody has overwritten need not be
    computed again."""

    scratch: Tensor | None = None
    writer = 0


_memory = _Memory()
_writers = itertools.count(1)  # of all threads: a backward pass may run in another one


def token_logprobs(
    hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, *, temperature: float = 1.0, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """log softmax(hidden weight^T / temperature) at the targets, and the entropy of each distribution in nats.

    Args:
        chunk: rows handled at a time; by default as many as suit the vocabulary.

    Returns:
        float32 (N,), differentiable in hidden_ND and weight_VD; float32 (N,), detached.
    """
    return _token_logprobs(hidden_ND, weight_VD, targets_N, temperature, chunk or _chunk(weight_VD))


def _chunk(weight_VD: Tensor) -> int:
    vocabulary = weight_VD.shape[0]
    if vocabulary < LARGE_VOCABULARY:
        return ROWS_IN_CACHE
    return max(64, SCRATCH_BYTES // (vocabulary * weight_VD.element_size()))


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, temperature: float, chunk: int
    ) -> tuple[Tensor, Tensor]:
        tokens, targets_N = hidden_ND.shape[0], targets_N.contiguous()
        results_3N = torch.empty(3, tokens, dtype=torch.float32, device=hidden_ND.device)
        keep = any(ctx.needs_input_grad) and _can_be_kept(tokens, weight_VD)
        kept: list[Tensor] = []
        for start in range(0, tokens, chunk):
            rows = slice(start, start + chunk)
            logits_CV = _logits(hidden_ND[rows], weight_VD, in_scratch=hidden_ND.is_cpu and not keep)
            _logprobs(logits_CV, targets_N[rows], temperature, results_3N[:, rows])
            if keep:
                kept.append(logits_CV)
        logprobs_N, entropy_N, logsumexp_N = results_3N
        ctx.save_for_backward(hidden_ND, weight_VD, targets_N, logsumexp_N, *kept)
        ctx.temperature, ctx.chunk, ctx.writer = temperature, chunk, _memory.writer
        ctx.mark_non_differentiable(entropy_N)
        return logprobs_N, entropy_N

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden_ND, weight_VD, targets_N, logsumexp_N, *kept = ctx.saved_tensors
        tokens, chunk, grad_N = hidden_ND.shape[0], ctx.chunk, grads[0].contiguous()
        hidden_grad = torch.empty_like(hidden_ND) if ctx.needs_input_grad[0] else None
        weight_grad: Tensor | None = None  # of several chunks: a sum in float32, whatever the model's type
        if not kept and hidden_ND.is_cpu and tokens <= chunk and ctx.writer == _memory.writer:  # they still lie there
            kept = [_in_scratch(hidden_ND, weight_VD)]
        for number, start in enumerate(range(0, tokens, chunk)):
            rows = slice(start, start + chunk)
            logits_CV = kept[number] if kept else _logits(hidden_ND[rows], weight_VD, in_scratch=hidden_ND.is_cpu)
            logits_grad = _logits_gradient(logits_CV, targets_N[rows], ctx.temperature, logsumexp_N[rows], grad_N[rows])
            if hidden_grad is not None:
                torch.mm(logits_grad, weight_VD, out=hidden_grad[rows])
            if not ctx.needs_input_grad[1]:
                continue
            if weight_grad is None:
                weight_grad = weight_gradient(logits_grad, hidden_ND[rows])
                weight_grad = weight_grad if tokens <= chunk else weight_grad.float()
            elif weight_VD.dtype == torch.float32:
                weight_grad.addmm_(logits_grad.t(), hidden_ND[rows])
            else:
                weight_grad += weight_gradient(logits_grad, hidden_ND[rows])
        if _memory.scratch is not None and _memory.scratch.nbytes > KEPT_SCRATCH_BYTES:
            _memory.scratch, _memory.writer = None, next(_writers)  # the gradients of the layers below find room there
        if ctx.needs_input_grad[1]:
            weight_grad = torch.zeros_like(weight_VD) if weight_grad is None else weight_grad.to(weight_VD.dtype)
        return hidden_grad, weight_grad, None, None, None


_token_logprobs: Callable[[Tensor, Tensor, Tensor, float, int], tuple[Tensor, Tensor]] = _TokenLogprobs.apply


def _can_be_kept(tokens: int, weight_VD: Tensor) -> bool:
    """Whether all logits can be kept for the backward pass. A GPU's memory is one for all threads, and its logits are never in
    scratch memory: torch keeps what is freed there."""
    numbers = tokens * weight_VD.shape[0]
    if weight_VD.is_cpu:
        return weight_VD.dtype == torch.float32 and numbers <= KEPT_LOGITS
    return numbers * weight_VD.itemsize <= max(4 * KEPT_LOGITS, (memory_of_device(weight_VD.device) or 0) // KEPT_SHARE)


def _logits(hidden_CD: Tensor, weight_VD: Tensor, *, in_scratch: bool) -> Tensor:
    """(C, V) in the model's type; in scratch memory they are valid until the next call."""
    if not in_scratch:
        return hidden_CD @ weight_VD.t()
    return torch.mm(hidden_CD, weight_VD.t(), out=_in_scratch(hidden_CD, weight_VD))


def _in_scratch(hidden_CD: Tensor, weight_VD: Tensor) -> Tensor:
    """Memory for (C, V) logits, about to be written: whoever had it before has lost it."""
    size = hidden_CD.shape[0] * weight_VD.shape[0]
    scratch = _memory.scratch
    if scratch is None or scratch.numel() < size or scratch.dtype != hidden_CD.dtype or scratch.device != hidden_CD.device:
        scratch = _memory.scratch = torch.empty(size, dtype=hidden_CD.dtype, device=hidden_CD.device)
    _memory.writer = next(_writers)
    return scratch[:size].view(-1, weight_VD.shape[0])


def _logprobs(logits_CV: Tensor, targets_C: Tensor, temperature: float, results_3C: Tensor) -> None:
    """Fill in log-probabilities at the targets, entropies and logsumexps."""
    if runs_natively(logits_CV):
        kernel = function("token_logprobs", logits_CV.dtype)
        kernel(*_rows(logits_CV, targets_C, temperature), *(ctypes.c_void_p(x.data_ptr()) for x in results_3C))
        return
    scaled_CV = logits_CV.float() / temperature
    logprobs_CV = torch.log_softmax(scaled_CV, dim=-1)
    torch.logsumexp(scaled_CV, dim=-1, out=results_3C[2])
    results_3C[0] = logprobs_CV.gather(1, targets_C[:, None]).squeeze(1)
    results_3C[1] = torch.special.entr(logprobs_CV.exp()).sum(-1)


def _logits_gradient(logits_CV: Tensor, targets_C: Tensor, temperature: float, logsumexp_C: Tensor, grad_C: Tensor) -> Tensor:
    """(onehot(target) - softmax) * grad / temperature, in the logits' type and, where it can be, in their place."""
    if runs_natively(logits_CV):
        kernel = function("logits_gradient", logits_CV.dtype)
        kernel(*_rows(logits_CV, targets_C, temperature), *(ctypes.c_void_p(x.data_ptr()) for x in (logsumexp_C, grad_C)))
        logits_CV[:0].zero_()  # tells autograd of the change: a second backward pass would read gradients as logits
        return logits_CV
    scaled_grad_C1 = (grad_C / temperature).unsqueeze(1)
    probabilities_CV = (logits_CV.float() / temperature - logsumexp_C[:, None]).exp_()
    return (probabilities_CV * -scaled_grad_C1).scatter_add_(1, targets_C[:, None], scaled_grad_C1).to(logits_CV.dtype)


def _rows(logits_CV: Tensor, targets_C: Tensor, temperature: float) -> tuple[Any, ...]:
    """The arguments that both kernels begin with."""
    rows, vocabulary = logits_CV.shape
    assert targets_C.shape == (rows,), (targets_C.shape, rows)
    assert targets_C.dtype == torch.long, targets_C.dtype
    assert bool(((targets_C >= 0) & (targets_C < vocabulary)).all()), f"targets must be from 0 to {vocabulary - 1}: {targets_C}"
    return (
        ctypes.c_void_p(logits_CV.data_ptr()), ctypes.c_int32(rows), ctypes.c_int32(vocabulary),
        ctypes.c_void_p(targets_C.data_ptr()), ctypes.c_float(1.0 / temperature),
    )  # fmt: skip
