"""Mixture of experts: shared ones for every token, routed ones for some.

Routing scores are sigmoids in DeepSeek-V3 (arXiv:2412.19437, section 2.1.2), where a bias of each expert takes part in the
choice alone and is moved towards balance without a loss; in Qwen3 (arXiv:2505.09388) they are a softmax without a bias.
Tokens are sorted by expert, so that each expert is one matrix multiplication over all of its tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cogitate.model.config import ModelConfig
from cogitate.model.layers import MLP, swiglu_backward, swiglu_values

Load = list[int] | Tensor
GROUPED_ON = (9, 10)  # major compute capability of GPUs with torch's kernel for grouped products (GroupedBlas.cpp)
SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda logits_NE: torch.softmax(logits_NE, dim=-1),
}


class Router(nn.Module):
    """Chooses num_experts_per_tok experts for each token.

    Attributes:
        e_score_correction_bias: float32 (E,), stays float32 whatever the model's type is; None in families without it.
        load: int64 (E,), how many tokens each expert got in training mode since `balance` was called last; all of them count
            twice under gradient checkpointing, which makes no difference to `balance`.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        assert config.family.router is not None, config.model_type
        self.config = config
        self._scores = SCORES[config.family.router]
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        self.e_score_correction_bias: Tensor | None
        self.load: Tensor
        bias = torch.zeros(config.n_routed_experts) if config.family.has_router_bias else None
        self.register_buffer("e_score_correction_bias", bias)
        self.register_buffer("load", torch.zeros(config.n_routed_experts, dtype=torch.long), persistent=False)

    def forward(self, x_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (N, K), differentiable, and indices (N, K) of the chosen experts."""
        config = self.config
        scores_NE = self._scores(F.linear(x_ND.float(), self.weight.float()))
        with torch.no_grad():
            choice_NE = scores_NE if self.e_score_correction_bias is None else scores_NE + self.e_score_correction_bias
            if config.n_group > 1:
                choice_NE = limit_groups(choice_NE, config.n_group, config.topk_group)
            experts_NK = choice_NE.topk(config.num_experts_per_tok, dim=-1, sorted=False).indices
        weights_NK = scores_NE.gather(1, experts_NK)
        if config.norm_topk_prob:
            weights_NK = weights_NK / (weights_NK.sum(dim=-1, keepdim=True) + 1e-20)
        if config.routed_scaling_factor != 1.0:
            weights_NK = weights_NK * config.routed_scaling_factor
        return weights_NK, experts_NK

    @torch.no_grad()
    def balance(self, step: float) -> None:
        """Raise the bias of experts with less than the mean load by `step` (the paper's gamma), lower that of the others.

        A router without such a bias forgets the load and stays as it is.
        """
        load = self.load.float()
        if self.e_score_correction_bias is not None:
            self.e_score_correction_bias.add_((load.mean() - load).sign_(), alpha=step)
        self.load.zero_()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Router:
        bias = self.e_score_correction_bias
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        moved = self.e_score_correction_bias
        if bias is not None and moved is not None and moved.dtype != torch.float32:
            self.e_score_correction_bias = bias.to(moved.device)
        return self


def limit_groups(choice_NE: Tensor, groups: int, kept_groups: int) -> Tensor:
    """Set the scores of all but the best groups to -inf; a group is as good as its two best experts together."""
    grouped: Tensor = choice_NE.unflatten(-1, (groups, -1))
    group_scores = grouped.topk(min(2, grouped.shape[-1]), dim=-1).values.sum(dim=-1)
    kept = group_scores.topk(kept_groups, dim=-1, sorted=False).indices
    dropped = torch.ones_like(group_scores, dtype=torch.bool).scatter_(1, kept, False)
    return grouped.masked_fill(dropped.unsqueeze(-1), float("-inf")).flatten(1)


class RoutedExperts(nn.Module):
    """E SwiGLU experts as two stacked tensors."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        experts, inner, width = config.n_routed_experts, config.moe_intermediate_size, config.hidden_size
        self.gate_up_proj = nn.Parameter(torch.empty(experts, 2 * inner, width))
        self.down_proj = nn.Parameter(torch.empty(experts, width, inner))

    def forward(self, x_ND: Tensor, weights_NK: Tensor, experts_NK: Tensor, load_E: Tensor) -> Tensor:
        order_M = experts_NK.flatten().argsort(stable=True)
        load = load_E.cumsum(0, dtype=torch.int32) if self.can_be_grouped(x_ND) else load_E.tolist()
        return _sorted_experts(x_ND, weights_NK.to(x_ND.dtype), self.gate_up_proj, self.down_proj, order_M, load)

    def can_be_grouped(self, x_ND: Tensor) -> bool:
        """Whether all experts are one product, whose sizes the host need not know: in bfloat16, with rows that begin at
        multiples of 16 bytes, and of CUDA's GPUs on those that torch has the kernel for. Elsewhere torch loops and copies the
        sizes to the host for each product; our loop copies them once for all products."""
        if x_ND.is_cpu or x_ND.dtype != torch.bfloat16:
            return False
        if x_ND.is_cuda and torch.cuda.get_device_capability(x_ND.device)[0] not in GROUPED_ON:
            return False
        return all(size * x_ND.itemsize % 16 == 0 for size in (*self.gate_up_proj.shape[1:], self.down_proj.shape[2]))


class _SortedExperts(torch.autograd.Function):
    """sum_k weight_k * expert_k(x) with all M = N * K (token, expert) pairs in the order of their experts.

    `load`: how many pairs each expert has; or, int32 (E,), where the pairs of each end.
    """

    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, weights_NK: Tensor, gate_up_EID: Tensor, down_EDI: Tensor, order_M: Tensor, load: Load
    ) -> Tensor:
        chosen = weights_NK.shape[1]
        place_NK = torch.empty_like(order_M)
        place_NK[order_M] = torch.arange(order_M.shape[0], device=order_M.device)
        place_NK = place_NK.view(-1, chosen)
        token_M = order_M // chosen
        x_MD = x_ND.index_select(0, token_M)
        weight_M1 = weights_NK.flatten().index_select(0, order_M).unsqueeze(1)
        gate_up_M2I = _expert_matmuls(x_MD, gate_up_EID.transpose(1, 2), load)
        inner_MI = swiglu_values(gate_up_M2I)
        out_MD = _expert_matmuls(inner_MI * weight_M1, down_EDI.transpose(1, 2), load)
        ctx.save_for_backward(x_MD, weight_M1, gate_up_EID, down_EDI, gate_up_M2I, inner_MI, token_M, place_NK)
        ctx.load = load
        return _sum_rows(out_MD, place_NK)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_MD, weight_M1, gate_up_EID, down_EDI, gate_up_M2I, inner_MI, token_M, place_NK = ctx.saved_tensors
        load = ctx.load
        out_grad_MD = grads[0].index_select(0, token_M)
        down_grad = _expert_outer_products(out_grad_MD, inner_MI * weight_M1, load) if ctx.needs_input_grad[3] else None
        scaled_grad_MI = _expert_matmuls(out_grad_MD, down_EDI, load)
        weight_grad_M = torch.linalg.vecdot(scaled_grad_MI, inner_MI)
        gate_up_grad_M2I = swiglu_backward(scaled_grad_MI.mul_(weight_M1), gate_up_M2I)
        gate_up_grad = _expert_outer_products(gate_up_grad_M2I, x_MD, load) if ctx.needs_input_grad[2] else None
        x_grad_ND = _sum_rows(_expert_matmuls(gate_up_grad_M2I, gate_up_EID, load), place_NK)
        weights_grad_NK = weight_grad_M.index_select(0, place_NK.flatten()).view(place_NK.shape)
        return x_grad_ND, weights_grad_NK, gate_up_grad, down_grad, None, None


_sorted_experts: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Load], Tensor] = _SortedExperts.apply


def _expert_matmuls(x_MA: Tensor, matrices_EAB: Tensor, load: Load) -> Tensor:
    """Rows of expert e times matrix e: (M, B)."""
    if isinstance(load, Tensor):
        return torch._grouped_mm(x_MA, matrices_EAB, offs=load)
    result_MB = x_MA.new_empty(x_MA.shape[0], matrices_EAB.shape[2])
    start = 0
    for matrix_AB, count in zip(matrices_EAB, load, strict=True):
        if count:
            torch.mm(x_MA[start : start + count], matrix_AB, out=result_MB[start : start + count])
        start += count
    return result_MB


def _expert_outer_products(a_MA: Tensor, b_MB: Tensor, load: Load) -> Tensor:
    """Sum over the rows of expert e of the outer products a b^T: (E, A, B)."""
    if isinstance(load, Tensor):
        return torch._grouped_mm(a_MA.t(), b_MB, offs=load)
    result_EAB = a_MA.new_empty(len(load), a_MA.shape[1], b_MB.shape[1])
    start = 0
    for result_AB, count in zip(result_EAB, load, strict=True):
        torch.mm(a_MA[start : start + count].t(), b_MB[start : start + count], out=result_AB)
        start += count
    return result_EAB


def _sum_rows(rows_MD: Tensor, place_NK: Tensor) -> Tensor:
    """(N, D): the sum of the K rows that belong to each token."""
    return F.embedding_bag(place_NK, rows_MD, mode="sum")


def load_of(experts_NK: Tensor, experts: int) -> Tensor:
    """How many tokens each of E experts got, int64 (E,)."""
    chosen_M = experts_NK.flatten()
    if chosen_M.is_cpu:
        return torch.bincount(chosen_M, minlength=experts)
    return chosen_M.new_zeros(experts).scatter_add_(0, chosen_M, torch.ones_like(chosen_M))  # bincount waits for the largest


class MixtureOfExperts(nn.Module):
    """Shared experts plus routed ones. The shared experts are one MLP of n_shared_experts times the width."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate = Router(config)
        self.experts = RoutedExperts(config)
        shared = config.n_shared_experts * config.moe_intermediate_size
        self.shared_experts = MLP(config.hidden_size, shared) if shared else None

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_ND = x_BTD.flatten(0, -2)
        weights_NK, experts_NK = self.gate(x_ND)
        load_E = load_of(experts_NK, self.gate.load.shape[0])
        if self.training:
            self.gate.load += load_E
        out_ND: Tensor = self.experts(x_ND, weights_NK, experts_NK, load_E)
        if self.shared_experts is not None:
            out_ND = out_ND + self.shared_experts(x_ND)
        return out_ND.view(x_BTD.shape)
