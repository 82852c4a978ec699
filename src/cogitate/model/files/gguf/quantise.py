"""Numbers as ggml stores them: float32, float16, and blocks of 32 that share a scale (Q8_0, Q4_0).

The formulas are those of quantize_row_q8_0_ref and quantize_row_q4_0_ref in ggml-quants.c, in float32 as there, so that the
bytes are those that llama.cpp itself would write.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numpy as np

BLOCK = 32  # numbers that share a scale
LARGEST = 65504.0  # of float16
NO_INVERSE = np.float32(2.0**-128)  # 1 / it is infinite in float32


class StoredType(IntEnum):
    """ggml's numbers of the types that we write."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q8_0 = 8

    def row_bytes(self, width: int) -> int:
        """Bytes of a row of `width` numbers; in blocks it must be a multiple of 32."""
        return {
            StoredType.F32: 4 * width,
            StoredType.F16: 2 * width,
            StoredType.Q4_0: width // BLOCK * (2 + BLOCK // 2),
            StoredType.Q8_0: width // BLOCK * (2 + BLOCK),
        }[self]


def encode(values: np.ndarray, stored_type: StoredType) -> np.ndarray:
    """The bytes of a tensor.

    Args:
        values: float32 (..., width).

    Returns:
        uint8 (rows, bytes of a row).

    Raises:
        ValueError: a number that is not finite, or too large for the float16 in which it, or its block's scale, is stored.
    """
    rows = np.ascontiguousarray(values.reshape(-1, values.shape[-1]), dtype=np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("holds numbers that are not finite")
    return ENCODERS[stored_type](rows)


def encode_float32(rows: np.ndarray) -> np.ndarray:
    return rows.astype("<f4").view(np.uint8)


def encode_float16(rows: np.ndarray) -> np.ndarray:
    return as_float16(rows).view(np.uint8)


def encode_q8_0(rows: np.ndarray) -> np.ndarray:
    """A block is a float16 scale d and 32 signed bytes q; a number is d * q. The largest magnitude becomes 127."""
    blocks = rows.reshape(len(rows), -1, BLOCK)
    scales = np.abs(blocks).max(axis=-1, keepdims=True) / np.float32(127)
    scaled = blocks * inverse(scales)
    whole = np.floor(np.abs(scaled) + np.float32(0.5)) * np.sign(scaled)  # roundf: halves away from zero
    return with_scales(scales, whole.astype(np.int8).view(np.uint8))


def encode_q4_0(rows: np.ndarray) -> np.ndarray:
    """A block is a float16 scale d and 32 numbers q of 4 bits; a number is d * (q - 8).

    The number of largest magnitude becomes -8, so d has the other sign. Byte j holds number j in its lower half and number
    j + 16 in its upper one.
    """
    blocks = rows.reshape(len(rows), -1, BLOCK)
    place = np.abs(blocks).argmax(axis=-1)[..., None]
    scales = np.take_along_axis(blocks, place, axis=-1) / np.float32(-8)
    whole = np.minimum(15, np.trunc(blocks * inverse(scales) + np.float32(8.5))).astype(np.uint8)
    return with_scales(scales, whole[..., : BLOCK // 2] | whole[..., BLOCK // 2 :] << 4)


def inverse(scales: np.ndarray) -> np.ndarray:
    """1 / scale; 0 for a block of zeros, and of numbers so small that it would be infinite: the scale in float16 is 0."""
    inverted: np.ndarray = np.divide(np.float32(1), scales, out=np.zeros_like(scales), where=np.abs(scales) > NO_INVERSE)
    return inverted


def with_scales(scales: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """Each block's scale in front of its numbers: uint8 (rows, bytes of a row)."""
    return np.concatenate([as_float16(scales).view(np.uint8), packed], axis=-1).reshape(len(scales), -1)


def as_float16(numbers: np.ndarray) -> np.ndarray:
    largest = float(np.abs(numbers).max(initial=0))
    if largest > LARGEST:
        raise ValueError(f"holds {largest:.6g}: float16 ends at {LARGEST:.0f}")
    halves: np.ndarray = numbers.astype("<f2")
    return halves


ENCODERS: dict[StoredType, Callable[[np.ndarray], np.ndarray]] = {
    StoredType.F32: encode_float32,
    StoredType.F16: encode_float16,
    StoredType.Q4_0: encode_q4_0,
    StoredType.Q8_0: encode_q8_0,
}
