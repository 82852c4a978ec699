"""Weights of 8 or 4 bits for generation: groups of 32 inputs share a scale, as in ggml's Q8_0 and Q4_0.

A weight is scale * q; the product is in bfloat16 or float32, whatever activations are in, and so is everything else. Rounding
is that of model/files/gguf/quantise.py, so weights that came from such a file, read in float32, are rounded to what they were
there. `rounded` is the plain form of kernels/groups.cpp with common/groups.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cogitate.errors import CheckpointError, ConfigError
from cogitate.kernels import function
from cogitate.model.attention import GroupedQueryAttention
from cogitate.model.files.gguf.quantise import BLOCK, StoredType, encode
from cogitate.model.layers import MLP
from cogitate.model.mla import MultiHeadLatentAttention
from cogitate.model.moe import MixtureOfExperts
from cogitate.model.transformer import Transformer

STORED = {8: StoredType.Q8_0, 4: StoredType.Q4_0}
HEAD_BITS = 8  # of the head, at least: its errors are errors of the logits
LANES = 16
UNUSABLE = "a weight is not finite, or too large for weights of {bits} bits"


def check_bits(name: str, bits: int, known: Collection[int], *, native: bool) -> None:
    """Raises ConfigError where a setting asks for bits that nothing can be generated with.

    Args:
        native: there are kernels for the model and its device.
    """
    if bits and bits not in known:
        raise ConfigError(f"{name} = {bits}: must be {' or '.join(map(str, known))}, or 0 for numbers as they are computed")
    if bits and not native:
        raise ConfigError(
            f"{name} = {bits} has kernels for the CPU alone, built by a C++ compiler; elsewhere it would save nothing: set "
            f"runtime.{name} = 0"
        )


def in_groups(weight_OI: Tensor, bits: int, panel: int) -> Tensor:
    """A matrix in the layout of kernels/common/groups.h, uint8, flat.

    Raises:
        CheckpointError: a weight is not finite or too large.
    """
    weight_OI, (outputs, inputs) = weight_OI.contiguous(), weight_OI.shape
    groups = -(-inputs // BLOCK)
    size = (outputs + -outputs % LANES) * groups * STORED[bits].row_bytes(BLOCK)
    laid_out = weight_OI.new_empty(size, dtype=torch.uint8)
    run = function("in_groups", weight_OI.dtype, returns=ctypes.c_int64, takes="piiiip")
    if run(weight_OI.data_ptr(), outputs, inputs, panel, bits, laid_out.data_ptr()):
        raise CheckpointError(UNUSABLE.format(bits=bits))
    return laid_out


def in_quads(weight_OI: Tensor, bits: int) -> Tensor:
    """A matrix in the layout of kernels/common/quads.h, for inputs of 8 bits (products.py), uint8, flat.

    Raises:
        CheckpointError: a weight is not finite or too large.
    """
    outputs, inputs = weight_OI.shape
    strip = function("quads_bytes", returns=ctypes.c_int64, takes="ii")(inputs, bits)
    laid_out = torch.empty(-(-outputs // LANES) * strip, dtype=torch.uint8)
    run = function("in_quads", weight_OI.dtype, returns=ctypes.c_int64, takes="piiip")
    if run(weight_OI.contiguous().data_ptr(), outputs, inputs, bits, laid_out.data_ptr()):
        raise CheckpointError(UNUSABLE.format(bits=bits))
    return laid_out


def rounded(weight_OI: Tensor, bits: int) -> Tensor:
    """What a matrix becomes, float32 of the same shape: the plain form."""
    numbers_OGK, scales_OG = numbers_and_scales(weight_OI, bits)
    return (scales_OG[..., None] * numbers_OGK).flatten(1)[:, : weight_OI.shape[1]]


def numbers_and_scales(weight_OI: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """The groups of a matrix, zeros behind the last input: whole numbers, float32 (O, G, 32), and scales, float32 (O, G).

    Raises:
        CheckpointError: a weight is not finite or too large.
    """
    padded = F.pad(weight_OI.detach().float(), (0, -weight_OI.shape[1] % BLOCK))
    try:
        stored = encode(padded.numpy(), STORED[bits])
    except ValueError as error:
        raise CheckpointError(UNUSABLE.format(bits=bits)) from error
    blocks = stored.reshape(len(weight_OI), -1, STORED[bits].row_bytes(BLOCK))
    scales, packed = blocks[..., :2].copy().view("<f2").astype(np.float32), blocks[..., 2:]
    if bits == 8:
        numbers = packed.view(np.int8).astype(np.float32)
    else:
        numbers = np.concatenate((packed & 15, packed >> 4), axis=-1).astype(np.float32) - 8
    return torch.from_numpy(numbers), torch.from_numpy(scales[..., 0])


@torch.no_grad()
def round_model(model: Transformer, bits: int) -> Transformer:
    """Round the weights of a model in place to what generation with so many bits computes with; a tied head becomes one of its
    own, since the embedding stays as it is. The model itself."""
    if model.lm_head is None:
        vocabulary, width = model.embed_tokens.weight.shape
        model.lm_head = nn.Linear(width, vocabulary, bias=False)
        model.lm_head.weight = nn.Parameter(model.embed_tokens.weight.detach().clone())
        model.config = model.config.model_copy(update={"tie_word_embeddings": False})
    model.lm_head.weight.copy_(rounded(model.lm_head.weight, max(bits, HEAD_BITS)))
    for weight in rounded_weights(model):
        for matrix in weight if weight.dim() == 3 else weight[None]:
            matrix.copy_(rounded(matrix, bits))
    return model


def rounded_weights(model: Transformer) -> Iterator[Tensor]:
    """The matrices that decoding multiplies with, but for the head and the routers of experts."""
    for module in model.modules():
        if isinstance(module, GroupedQueryAttention | MultiHeadLatentAttention):
            yield from (module.in_proj.weight, module.o_proj.weight)
        if isinstance(module, MultiHeadLatentAttention) and module.q_b_proj is not None:
            yield module.q_b_proj.weight
        if isinstance(module, MLP):
            yield from (module.gate_up_proj.weight, module.down_proj.weight)
        if isinstance(module, MixtureOfExperts):
            yield from (module.experts.gate_up_proj, module.experts.down_proj)
    if model.mtp is not None:
        yield model.mtp.eh_proj.weight
