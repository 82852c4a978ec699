"""Products of weights of 8 or 4 bits (groups.py) with activations of 8: groups of 32 inputs of a token share a scale, too.

A group's product is a sum of whole numbers, which is exact in any order. It is scaled, and the groups are summed in float32 one
after the other. So this plain form and kernels/common/quad_products.h agree to the bit in every class of processor.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cogitate.engine.bits.groups import numbers_and_scales
from cogitate.model.files.gguf.quantise import BLOCK

LARGEST = torch.tensor(127.0)
SMALLEST = 1e-30  # of a group's largest activation: what is smaller counts as zero


def rounded_activations(x_NI: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers from -127 to 127, float32 (N, G, 32), and the scale of each group, float32 (N, G): x is about number * scale."""
    groups_NGK = F.pad(x_NI.float(), (0, -x_NI.shape[1] % BLOCK)).unflatten(1, (-1, BLOCK))
    most_NG1 = groups_NGK.abs().amax(dim=-1, keepdim=True)
    is_zero = most_NG1 < SMALLEST
    inverse, scale = (part.masked_fill(is_zero, 0) for part in (LARGEST / most_NG1, most_NG1 / LARGEST))
    return (groups_NGK * inverse).round(), scale[..., 0]


def product(x_NI: Tensor, weight_OI: Tensor, bits: int, bias_O: Tensor | None = None) -> Tensor:
    """x weight^T + bias, float32 (N, O), of rounded activations and weights.

    Raises:
        CheckpointError: a weight is not finite or too large.
    """
    x_NGK, scale_NG = rounded_activations(x_NI)
    weight_OGK, weight_scale_OG = numbers_and_scales(weight_OI, bits)
    total_NO = torch.zeros(len(x_NI), len(weight_OI))
    for group in range(x_NGK.shape[1]):
        sums_NO = x_NGK[:, group] @ weight_OGK[:, group].T
        total_NO += sums_NO * (scale_NG[:, group, None] * weight_scale_OG[:, group])
    return total_NO if bias_O is None else total_NO + bias_O
