"""Blocks of Q8_0 and Q4_0, worked by hand from ggml's formulas and compared with the library that defines the format."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from cogitate.model.files.gguf.quantise import StoredType, encode
from tests.model.files.gguf.small_files import gguf


def block(**numbers: float) -> np.ndarray:
    """32 numbers, zero but for those given: n3=1.5 is number 3."""
    values = np.zeros((1, 32), dtype=np.float32)
    for place, number in numbers.items():
        values[0, int(place[1:])] = number
    return values


def test_a_block_of_q8_0_is_its_scale_and_numbers_of_eight_bits() -> None:
    """The largest magnitude is 127 steps: d = 1/2. 0.25 and -0.25 are half a step and go away from zero."""
    got = encode(block(n0=63.5, n1=-63.5, n2=0.25, n3=-0.25, n31=1.0), StoredType.Q8_0)
    expected = struct.pack("<e32b", 0.5, 127, -127, 1, -1, *[0] * 27, 2)
    assert got.tobytes() == expected


def test_a_block_of_q4_0_is_its_scale_and_pairs_of_half_a_byte() -> None:
    """The largest magnitude, 4, is -8 steps: d = -1/2. Number j is in the lower half of byte j, number j + 16 in the upper one.
    -4 would be 16 and is held at 15."""
    got = encode(block(n0=4.0, n16=-4.0, n1=1.0, n17=0.25), StoredType.Q4_0)
    rest = [8 | 8 << 4] * 14  # zeros
    assert got.tobytes() == struct.pack("<e16B", -0.5, 0 | 15 << 4, 6 | 8 << 4, *rest)


def test_a_block_of_zeros_has_no_scale() -> None:
    assert encode(block(), StoredType.Q8_0).tobytes() == bytes(34)
    assert encode(block(), StoredType.Q4_0).tobytes() == struct.pack("<e16B", -0.0, *[0x88] * 16)


@pytest.mark.parametrize("stored_type", list(StoredType), ids=lambda kind: kind.name)
def test_bytes_are_those_of_the_library_that_defines_the_format(stored_type: StoredType) -> None:
    values = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32)
    values[0, :32], values[1, 32:64] = 0, np.linspace(-1e-8, 1e-8, 32)
    values[2] = np.round(values[2] * 4) / 4  # halves of a step, equal magnitudes
    expected = gguf.quantize(values, gguf.GGMLQuantizationType(int(stored_type))).view(np.uint8)
    assert np.array_equal(encode(values, stored_type), expected)
    assert encode(values, stored_type).shape == (64, stored_type.row_bytes(96))


def test_numbers_that_cannot_be_stored_are_refused() -> None:
    with pytest.raises(ValueError, match=r"holds 70000: float16 ends at 65504"):
        encode(block(n5=70000.0), StoredType.F16)
    assert encode(block(n5=70000.0), StoredType.Q8_0).shape == (1, 34)  # only its scale is float16
    for stored_type in StoredType:
        with pytest.raises(ValueError, match="not finite"):
            encode(block(n0=float("nan")), stored_type)
