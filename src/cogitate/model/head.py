"""Log-probabilities of given tokens without ever holding (tokens, vocabulary) logits of a large vocabulary."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

KEPT_PROBABILITIES = 1 << 26  # up to so many (256 MB) are kept for the backward pass, beyond it they are computed again


def token_logprobs(
    hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, *, temperature: float = 1.0, chunk: int = 512
) -> tuple[Tensor, Tensor]:
    """log softmax(hidden weight^T / temperature) at the targets, and the entropy of each distribution in nats.

    Args:
        chunk: rows handled at a time; small enough that a chunk's logits stay in a CPU's cache.

    Returns:
        float32 (N,), differentiable in hidden_ND and weight_VD; float32 (N,), detached.
    """
    return _TokenLogprobs.apply(hidden_ND, weight_VD, targets_N, temperature, chunk)


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, temperature: float, chunk: int
    ) -> tuple[Tensor, Tensor]:
        tokens, vocabulary = hidden_ND.shape[0], weight_VD.shape[0]
        logprobs_N = torch.empty(tokens, dtype=torch.float32, device=hidden_ND.device)
        entropy_N = torch.empty_like(logprobs_N)
        keep = tokens * vocabulary <= KEPT_PROBABILITIES and any(ctx.needs_input_grad)
        kept: list[Tensor] = []
        for start in range(0, tokens, chunk):
            rows = slice(start, start + chunk)
            logprobs_CV = _log_softmax(hidden_ND[rows], weight_VD, temperature)
            logprobs_N[rows] = logprobs_CV.gather(1, targets_N[rows, None]).squeeze(1)
            probabilities_CV = logprobs_CV.exp()
            torch.linalg.vecdot(probabilities_CV, logprobs_CV, out=entropy_N[rows])
            if keep:
                kept.append(probabilities_CV)
        ctx.save_for_backward(hidden_ND, weight_VD, targets_N, *kept)
        ctx.temperature, ctx.chunk = temperature, chunk
        ctx.mark_non_differentiable(entropy_N)
        return logprobs_N, entropy_N.neg_()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden_ND, weight_VD, targets_N, *kept = ctx.saved_tensors
        scaled_grad_N1 = (grads[0] / ctx.temperature).unsqueeze(1)
        hidden_grad = torch.empty_like(hidden_ND) if ctx.needs_input_grad[0] else None
        # Summed over chunks in float32, whatever the model's type.
        weight_grad = torch.zeros_like(weight_VD, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        scratch = torch.empty(min(ctx.chunk, hidden_ND.shape[0]), weight_VD.shape[0], device=hidden_ND.device)
        for number, start in enumerate(range(0, hidden_ND.shape[0], ctx.chunk)):
            rows = slice(start, start + ctx.chunk)
            if kept:
                probabilities_CV = kept[number]
            else:
                probabilities_CV = _log_softmax(hidden_ND[rows], weight_VD, ctx.temperature).exp_()
            # d logprob / d logits = (onehot - p) / temperature
            logits_grad = torch.mul(probabilities_CV, -scaled_grad_N1[rows], out=scratch[: probabilities_CV.shape[0]])
            logits_grad.scatter_add_(1, targets_N[rows, None], scaled_grad_N1[rows])
            logits_grad = logits_grad.to(hidden_ND.dtype)
            if hidden_grad is not None:
                torch.mm(logits_grad, weight_VD, out=hidden_grad[rows])
            if weight_grad is not None and weight_VD.dtype == torch.float32:
                weight_grad.addmm_(logits_grad.t(), hidden_ND[rows])
            elif weight_grad is not None:
                weight_grad += logits_grad.t() @ hidden_ND[rows]
        return hidden_grad, None if weight_grad is None else weight_grad.to(weight_VD.dtype), None, None, None


def _log_softmax(hidden_CD: Tensor, weight_VD: Tensor, temperature: float) -> Tensor:
    logits_CV = F.linear(hidden_CD, weight_VD).float()
    if temperature != 1.0:
        logits_CV.div_(temperature)
    return torch.log_softmax(logits_CV, dim=-1)
