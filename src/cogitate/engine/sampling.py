"""From logits to one token and its log-probability for each row, driven by (seed, position) alone.

A token's random number is a hash of its completion's seed and its position (splitmix64, Steele et al., "Fast splittable
pseudorandom number generators", 2014), turned into a token through the inverse of the cumulative distribution. So a completion
does not depend on its neighbours in the batch, on the batch's size or on when it was started, beyond rounding of the logits.

The log-probability is log softmax(logits / temperature) over the whole vocabulary, before top-p: what a learner computes again.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cogitate.errors import NotFiniteError
from cogitate.kernels import SUFFIXES, function, native_library

GREEDY_BELOW = 1e-5
"""Temperatures under this take the most likely token, the first of equals; its log-probability is that at temperature 1."""

_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)  # as signed 64-bit numbers, whose products wrap in the same way
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)
_BLOCK = 64


def uniforms(seeds_B: Tensor, positions_B: Tensor, *, stream: int = 0) -> Tensor:
    """Numbers in [0, 1), multiples of 2^-53, float64 (B,): equal (seed, position, stream) give equal numbers.

    Args:
        seeds_B, positions_B: int64.
        stream: a second number for the same position is drawn from another stream.
    """
    hashed = _splitmix(_splitmix(seeds_B) + 2 * positions_B + stream)
    return (_shift_right(hashed, 11)).to(torch.float64) * 2.0**-53


def sample(
    logits_BV: Tensor, temperatures_B: Tensor, top_p_B: Tensor, seeds_B: Tensor, positions_B: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw one token for each row, by the kernel where there is one.

    Args:
        logits_BV: may be overwritten.
        temperatures_B: float32; below GREEDY_BELOW greedy.
        top_p_B: float32 in (0, 1]: the smallest set of most likely tokens whose mass reaches it is drawn from.
        positions_B: which token of its completion this is.

    Returns:
        int64 (B,) tokens, and float32 (B,) log-probabilities at the sampling temperature over the full vocabulary.

    Raises:
        NotFiniteError: logits are NaN or infinite.
    """
    if logits_BV.device.type == "cpu" and logits_BV.dtype in SUFFIXES and native_library() is not None:
        return sample_natively(logits_BV, temperatures_B, top_p_B, seeds_B, positions_B)
    return sample_in_torch(logits_BV, temperatures_B, top_p_B, seeds_B, positions_B)


@dataclass(frozen=True, slots=True)
class Demands:
    """What the settings of some rows ask for, as the host knows it.

    Attributes:
        greedy, tempered, truncated: any row is greedy, has a temperature other than 1, has a top_p below 1.
    """

    greedy: bool
    tempered: bool
    truncated: bool

    @classmethod
    def of(cls, temperatures_B: np.ndarray, top_p_B: np.ndarray) -> Demands:
        greedy_B = temperatures_B < GREEDY_BELOW
        tempered = bool(((temperatures_B != 1.0) & ~greedy_B).any())
        return cls(bool(greedy_B.any()), tempered, bool(((top_p_B < 1.0) & ~greedy_B).any()))


def sample_natively(
    logits_BV: Tensor, temperatures_B: Tensor, top_p_B: Tensor, seeds_B: Tensor, positions_B: Tensor
) -> tuple[Tensor, Tensor]:
    """`sample` by kernels/sampling.cpp."""
    rows, vocabulary = logits_BV.shape
    tokens_B, logprobs_B = (logits_BV.new_empty(rows, dtype=dtype) for dtype in (torch.long, torch.float32))
    inputs = [part.contiguous() for part in (logits_BV, temperatures_B, top_p_B, seeds_B, positions_B)]
    assert [part.dtype for part in inputs[1:]] == [torch.float32, torch.float32, torch.long, torch.long]
    assert all(len(part) == rows and part.is_cpu for part in inputs), [part.shape for part in inputs]
    at = [ctypes.c_void_p(part.data_ptr()) for part in (*inputs, tokens_B, logprobs_B)]
    kernel = function("sample", logits_BV.dtype)
    kernel(at[0], ctypes.c_int32(rows), ctypes.c_int32(vocabulary), *at[1:])
    check_finite(logprobs_B, lambda: logits_BV.amax(dim=-1), seeds_B, positions_B)
    return tokens_B, logprobs_B


def sample_in_torch(
    logits_BV: Tensor, temperatures_B: Tensor, top_p_B: Tensor, seeds_B: Tensor, positions_B: Tensor
) -> tuple[Tensor, Tensor]:
    """`sample` in plain PyTorch, on any device. Overwrites the logits."""
    logits_BV = logits_BV.float()
    greedy_B = temperatures_B < GREEDY_BELOW
    any_greedy = bool(greedy_B.any())
    if any_greedy:
        temperatures_B = torch.where(greedy_B, 1.0, temperatures_B)
        most_likely_B = logits_BV.argmax(dim=-1)
    if not bool((temperatures_B == 1.0).all()):
        logits_BV = logits_BV.div_(temperatures_B[:, None])
    largest_B1 = logits_BV.amax(dim=-1, keepdim=True)
    scaled_BV = logits_BV.sub_(largest_B1)
    probabilities_BV = scaled_BV.exp()
    tokens_B, totals_B = inverse_cdf(probabilities_BV, uniforms(seeds_B, positions_B))
    truncated = ((top_p_B < 1.0) & ~greedy_B).nonzero().squeeze(1)
    if truncated.numel():
        tokens_B = _redraw_outside_nucleus(tokens_B, truncated, probabilities_BV, top_p_B, seeds_B, positions_B)
    if any_greedy:
        tokens_B = torch.where(greedy_B, most_likely_B, tokens_B)
    logprobs_B = scaled_BV.gather(1, tokens_B[:, None]).squeeze(1) - totals_B.log().float()
    check_finite(logprobs_B, lambda: largest_B1.squeeze(1), seeds_B, positions_B)
    return tokens_B, logprobs_B


def check_finite(logprobs_B: Tensor, largest_B: Callable[[], Tensor], seeds_B: Tensor, positions_B: Tensor) -> None:
    """Refuse rows whose largest logit is NaN or infinite. Rows of nothing but -inf, which a shaper that allows no token leaves,
    are its own affair: other completions do not fail with them.

    Raises:
        NotFiniteError: names the completion by its seed, and the token.
    """
    strange_B = ~torch.isfinite(logprobs_B)
    if not bool(strange_B.any()):
        return
    rows = (strange_B & (largest_B() != -torch.inf)).nonzero().flatten().tolist()
    if rows:
        row = rows[0]
        raise NotFiniteError(
            f"the completion of seed {int(seeds_B[row])}, token {int(positions_B[row])}: the model's logits are NaN or "
            "infinite: its weights are damaged, or their type is too narrow for them"
        )


def sample_without_waiting(
    logits_BV: Tensor, temperatures_B: Tensor, top_p_B: Tensor, uniforms_B: Tensor, again_B: Tensor, demands: Demands
) -> tuple[Tensor, Tensor]:
    """`sample_in_torch` as a fixed sequence of kernels: the same tokens without a number that the host waits for.

    Where a nucleus is asked for, all rows are sorted.

    Args:
        uniforms_B, again_B: `uniforms` of streams 0 and 1, which the host knows beforehand; the second is for a nucleus.
    """
    logits_BV = logits_BV.float()
    greedy_B = temperatures_B < GREEDY_BELOW if demands.greedy else None
    if demands.tempered:
        divisors_B = temperatures_B if greedy_B is None else torch.where(greedy_B, 1.0, temperatures_B)
        logits_BV = logits_BV / divisors_B[:, None]
    scaled_BV = logits_BV - logits_BV.amax(dim=-1, keepdim=True)
    probabilities_BV = scaled_BV.exp()
    tokens_B, totals_B = inverse_cdf(probabilities_BV, uniforms_B)
    if demands.truncated:
        outside_B = _outside_nucleus(tokens_B, probabilities_BV, top_p_B) & (top_p_B < 1.0)
        tokens_B = torch.where(outside_B, inverse_cdf(nucleus(probabilities_BV, top_p_B), again_B)[0], tokens_B)
    if greedy_B is not None:
        tokens_B = torch.where(greedy_B, logits_BV.argmax(dim=-1), tokens_B)
    return tokens_B, scaled_BV.gather(1, tokens_B[:, None]).squeeze(1) - totals_B.log().float()


def inverse_cdf(weights_BV: Tensor, uniforms_B: Tensor) -> tuple[Tensor, Tensor]:
    """The first token at which the cumulative weight exceeds uniform * total, and the totals (float64).

    In two levels, blocks and tokens of one block, in float64: one pass over the vocabulary, and exact enough that a token
    of weight zero is never drawn.
    """
    rows, vocabulary = weights_BV.shape
    blocks = -(-vocabulary // _BLOCK)
    if vocabulary % _BLOCK:
        weights_BV = torch.nn.functional.pad(weights_BV, (0, blocks * _BLOCK - vocabulary))
    grouped = weights_BV.view(rows, blocks, _BLOCK)
    up_to_block = grouped.sum(dim=-1).double().cumsum(dim=-1)
    totals_B = up_to_block[:, -1]
    targets_B1 = (uniforms_B * totals_B)[:, None]
    block_B = _first_above(up_to_block, targets_B1)
    in_block = grouped[torch.arange(rows, device=weights_BV.device), block_B].double().cumsum(dim=-1)
    before_B1 = torch.where(block_B > 0, up_to_block.gather(1, (block_B[:, None] - 1).clamp_min(0)).squeeze(1), 0.0)[:, None]
    return block_B * _BLOCK + _first_above(in_block, targets_B1 - before_B1), totals_B


def nucleus(weights_BV: Tensor, top_p_B: Tensor) -> Tensor:
    """Weights with those outside the smallest set of most likely tokens that reaches top_p set to 0; ties: lower ids first."""
    ordered, order = weights_BV.sort(dim=-1, descending=True, stable=True)
    mass = ordered.double().cumsum(dim=-1)
    before = mass - ordered
    kept = before < top_p_B[:, None].double() * mass[:, -1:]
    kept[:, 0] = True
    return torch.zeros_like(weights_BV).scatter_(1, order, ordered * kept)


def _redraw_outside_nucleus(
    tokens_B: Tensor, rows: Tensor, weights_BV: Tensor, top_p_B: Tensor, seeds_B: Tensor, positions_B: Tensor
) -> Tensor:
    """Keep tokens that lie in the nucleus, draw the others once more from the nucleus alone.

    A token x of the nucleus N then has probability p(x) + (1 - p(N)) p(x) / p(N) = p(x) / p(N): exactly the truncated
    distribution, while only the share 1 - p(N) of the rows has to be sorted.
    """
    rows = rows[_outside_nucleus(tokens_B[rows], weights_BV[rows], top_p_B[rows])]
    if rows.numel():
        kept = nucleus(weights_BV[rows], top_p_B[rows])
        again, _ = inverse_cdf(kept, uniforms(seeds_B[rows], positions_B[rows], stream=1))
        tokens_B = tokens_B.index_copy(0, rows, again)
    return tokens_B


def _outside_nucleus(tokens_B: Tensor, weights_BV: Tensor, top_p_B: Tensor) -> Tensor:
    """Whether the tokens before each one in the order of the nucleus reach top_p without it, bool (B,)."""
    drawn_B1 = tokens_B[:, None]
    weight_B1 = weights_BV.gather(1, drawn_B1)
    ids = torch.arange(weights_BV.shape[1], device=weights_BV.device)
    before_BV = weights_BV * ((weights_BV > weight_B1) | ((weights_BV == weight_B1) & (ids < drawn_B1)))
    return before_BV.double().sum(dim=-1) >= top_p_B.double() * weights_BV.double().sum(dim=-1)


def _first_above(cumulative_BN: Tensor, targets_B1: Tensor) -> Tensor:
    """Index of the first entry above the target; where rounding left none, of the last step upwards."""
    above = (cumulative_BN <= targets_B1).sum(dim=-1)
    last_step = (cumulative_BN < cumulative_BN[:, -1:]).sum(dim=-1)
    return torch.minimum(above, last_step)


def _splitmix(x: Tensor) -> Tensor:
    x = x + _GAMMA
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift of the 64 bits of an int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
