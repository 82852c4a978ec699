"""The gradient of large bfloat16 weights by the kernel, against the same sums in float64 and against PyTorch's."""

import pytest
import torch
from torch import Tensor, nn

from cogitate.kernels import native_library
from cogitate.model import linear
from cogitate.model.linear import Linear, weight_gradient

pytestmark = pytest.mark.skipif(native_library() is None, reason="no compiled kernels here")


@pytest.fixture
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "LEAST_ROWS", 0)
    monkeypatch.setattr(linear, "LEAST_WIDTH", 0)


def sides(rows: int, outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
    made = torch.Generator().manual_seed(0)
    return tuple(torch.randn(rows, width, generator=made).bfloat16() for width in (outputs, inputs))  # type: ignore[return-value]


SIZES = [(1, 5, 7), (31, 16, 33), (256, 32, 32), (257, 100, 40), (600, 33, 1200), (600, 1201, 34), (2048, 576, 640)]


@pytest.mark.usefixtures("every_size")
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_kernel_sums_in_float32_and_rounds_once(size: tuple[int, int, int]) -> None:
    grad, x = sides(*size)
    exact = grad.double().t() @ x.double()
    made = weight_gradient(grad, x)
    assert made.dtype == torch.bfloat16
    assert bool(((made.double() - exact).abs() <= exact.abs() * 2**-8 + 1e-3).all())


@pytest.mark.usefixtures("every_size")
def test_rows_may_lie_apart_and_columns_too() -> None:
    grad, x = sides(300, 96, 64)
    wide_grad, tall_x = torch.cat((grad, grad), dim=1)[:, :96], x.t().contiguous().t()
    assert torch.equal(weight_gradient(wide_grad, tall_x), weight_gradient(grad, x))


@pytest.mark.usefixtures("every_size")
@pytest.mark.parametrize("size", [(700, 96, 1300), (700, 1300, 96)], ids=str)
def test_one_and_two_threads_give_the_same_bytes(size: tuple[int, int, int]) -> None:
    given, threads, found = sides(*size), torch.get_num_threads(), []
    try:
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            found.append(weight_gradient(*given))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.usefixtures("every_size")
@pytest.mark.parametrize("bias", [True, False], ids=["with a bias", "without"])
def test_a_layer_learns_as_pytorchs_does(bias: bool) -> None:
    torch.manual_seed(0)
    ours, theirs = Linear(48, 80, bias=bias).bfloat16(), nn.Linear(48, 80, bias=bias).bfloat16()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 100, 48).bfloat16()
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for layer, given in zip((ours, theirs), inputs, strict=True):
        out = layer(given)
        (out.float() ** 2).mean().backward()
    first, second = (given.grad for given in inputs)
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=2**-7, atol=1e-6)


def test_small_products_float32_and_frozen_weights_are_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the kernel's layer was taken")

    monkeypatch.setattr(linear, "_linear", never)
    large = linear.LEAST_ROWS, linear.LEAST_WIDTH
    Linear(large[1], large[1])(torch.ones(large))
    half = Linear(large[1], large[1]).bfloat16()
    half(torch.ones(large[0] - 1, large[1]).bfloat16())
    with torch.no_grad():
        half(torch.ones(large).bfloat16())
    half.weight.requires_grad_(False)
    half(torch.ones(large).bfloat16())
    half.weight.requires_grad_(True)
    with pytest.raises(AssertionError, match="was taken"):
        half(torch.ones(large).bfloat16())
