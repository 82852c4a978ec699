"""The kernels of paged reads, run by Triton's interpreter, against sums in float64. TRITON_INTERPRET=1 has to be set."""

import pytest
import torch

from cogitate.model.paged import kernel
from tests.model.paged.cases import SHAPES, case


@pytest.mark.parametrize(("tokens", "window", "parts"), [(1, None, 1), (1, 20, 1), (2, None, 4), (2, 20, 1)])
@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_are_attended_to_where_they_lie(shape: str, tokens: int, window: int | None, parts: int) -> None:
    given = case(shape, tokens, window)
    made = kernel.attend_in_place(given.q_NTHK, given.entries, given.slots, given.cut, given.window, given.scale, parts=parts)
    assert torch.allclose(made.double(), given.expected, atol=1e-5)


@pytest.mark.parametrize("parts", [1, 2])
def test_in_16_bits_it_is_as_good_as_its_type(parts: int) -> None:
    """The interpreter knows no products in bfloat16."""
    given = case("latents", dtype=torch.float16)
    made = kernel.attend_in_place(given.q_NTHK, given.entries, given.slots, given.cut, None, given.scale, parts=parts)
    assert made.dtype == torch.float16
    assert torch.allclose(made.double(), given.expected, atol=2e-3)


@pytest.mark.parametrize(
    ("programs", "tiles", "parts"), [(1, 8, 2), (3, 100, 16), (3, 1000, 32), (200, 100, 1), (60, 100, 4), (1, 1, 1)]
)
def test_rows_are_cut_where_they_are_too_few_for_a_device(programs: int, tiles: int, parts: int) -> None:
    assert kernel.parts_of(programs, tiles, multiprocessors=132) == parts
