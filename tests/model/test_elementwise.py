"""RMSNorm, SwiGLU and rotary embedding by native kernels, against the same in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from cogitate.kernels import native_library
from cogitate.model.layers import RMSNorm, swiglu
from cogitate.model.rope import rotate_halves

pytestmark = pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")

DTYPES = (torch.float32, torch.bfloat16)
ROUNDING = {torch.float32: 2.0**-21, torch.bfloat16: 2.0**-8 + 2.0**-20}  # relative, of float32 arithmetic rounded once
EPS = 1e-5
Operation = Callable[..., Tensor]


def norm(x: Tensor, weight: Tensor) -> Tensor:
    normed: Tensor = functional_call(RMSNorm(len(weight), EPS), {"weight": weight}, x)
    return normed


def exact_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt() * weight


def exact_swiglu(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return gate * gate.sigmoid() * up


def angles(x: Tensor, *, rows: int = 1) -> Tensor:
    """Of each token, of `rows` rows."""
    shape = (rows, x.shape[1], 1, x.shape[3] // 2)
    return torch.linspace(-9, 9, math.prod(shape)).view(shape)


def rotate(x: Tensor) -> Tensor:
    return rotate_halves(x, torch.polar(torch.ones_like(angles(x)), angles(x)))


def exact_rotate(x: Tensor, rows: int = 1) -> Tensor:
    turn = angles(x, rows=rows)
    first, second = x.chunk(2, dim=-1)
    pairs = torch.complex(first, second) * torch.complex(turn.cos(), turn.sin())
    return torch.cat((pairs.real, pairs.imag), dim=-1)


OPERATIONS: dict[str, tuple[Operation, Operation]] = {
    "norm": (norm, exact_norm),
    "swiglu": (swiglu, exact_swiglu),
    "rotate": (rotate, exact_rotate),
}


def inputs_of(name: str, rows: int, width: int, dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(rows * width)
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "norm": ((2, rows, width), (width,)),
        "swiglu": ((2, rows, 2 * width),),
        "rotate": ((2, rows, 3, 2 * width),),
    }
    return [3 * torch.randn(shape).to(dtype) for shape in shapes[name]]


def outcome(operation: Operation, inputs: list[Tensor]) -> list[Tensor]:
    """The result and the gradients of the inputs."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    result = operation(*leaves)
    torch.manual_seed(1)
    grad = torch.randn(result.shape).to(torch.bfloat16).to(result.dtype)
    return [result.detach(), *torch.autograd.grad(result, leaves, grad)]


def assert_rounded_once(mine: Tensor, exact: Tensor) -> None:
    error = (mine.double() - exact).abs()
    allowed = ROUNDING[mine.dtype] * exact.abs() + 2e-6 * exact.abs().max()
    assert bool((error <= allowed).all()), float((error - allowed).max())


@contextmanager
def plain_pytorch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("COGITATE_NATIVE", "0")
        native_library.cache_clear()
        assert native_library() is None
        yield
    native_library.cache_clear()


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [3, 16, 40, 576])
@pytest.mark.parametrize("name", OPERATIONS)
def test_results_and_gradients_are_the_exact_ones_rounded_once(name: str, width: int, dtype: torch.dtype) -> None:
    operation, exact = OPERATIONS[name]
    inputs = inputs_of(name, 65, width, dtype)
    for mine, other in zip(outcome(operation, inputs), outcome(exact, [x.double() for x in inputs]), strict=True):
        assert (mine.dtype, mine.shape) == (dtype, other.shape)
        assert_rounded_once(mine, other)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_plain_pytorch_gives_the_same_to_the_precision_of_the_type(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation, _ = OPERATIONS[name]
    inputs = inputs_of(name, 65, 40, dtype)
    native = outcome(operation, inputs)
    with plain_pytorch(monkeypatch):
        plain = outcome(operation, inputs)
    for mine, other in zip(native, plain, strict=True):
        torch.testing.assert_close(mine, other, rtol=4 * ROUNDING[dtype], atol=4 * ROUNDING[dtype] * float(other.abs().max()))


def test_a_norm_in_bfloat16_is_at_least_as_close_as_pytorchs() -> None:
    inputs = inputs_of("norm", 65, 576, torch.bfloat16)
    exact = outcome(exact_norm, [x.double() for x in inputs])
    errors = []
    for operation in (norm, lambda x, weight: F.rms_norm(x, weight.shape, weight, EPS)):
        errors.append([float((mine - other).norm()) for mine, other in zip(outcome(operation, inputs), exact, strict=True)])
    assert all(mine <= other for mine, other in zip(*errors, strict=True)), errors


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_run_gives_the_same_bytes_with_any_number_of_threads(name: str, dtype: torch.dtype) -> None:
    operation, _ = OPERATIONS[name]
    inputs = inputs_of(name, 300, 144, dtype)
    runs = []
    for count in (1, 1, 2, 2):
        with threads(count):
            runs.append(outcome(operation, inputs))
    for run in runs[1:]:
        assert all(torch.equal(one, other) for one, other in zip(runs[0], run, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_heads_are_rotated_where_they_stand_in_the_projection(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    joint = torch.randn(2, 5, 7 * 24).to(dtype)

    def queries_and_keys(x: Tensor, turn: Operation) -> Tensor:
        q, k, _ = x.unflatten(-1, (7, 24)).split((3, 2, 2), dim=2)
        return torch.cat((turn(q).transpose(1, 2), turn(k).transpose(1, 2)), dim=1)

    mine = outcome(lambda x: queries_and_keys(x, rotate), [joint])
    exact = outcome(lambda x: queries_and_keys(x, exact_rotate), [joint.double()])
    assert_rounded_once(mine[0], exact[0])
    assert_rounded_once(mine[1], exact[1])


def test_each_row_can_have_its_own_rotation() -> None:
    x = inputs_of("rotate", 5, 16, torch.float32)[0]
    turn = angles(x, rows=2)
    assert_rounded_once(rotate_halves(x, torch.polar(torch.ones_like(turn), turn)), exact_rotate(x.double(), rows=2))


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_rows_give_no_rows(name: str) -> None:
    operation, _ = OPERATIONS[name]
    result, *grads = outcome(operation, inputs_of(name, 0, 16, torch.float32))
    assert result.numel() == 0
    assert not any(bool(grad.any()) for grad in grads)


@pytest.mark.parametrize("name", OPERATIONS)
def test_views_and_broadcast_gradients_are_read_by_their_strides(name: str) -> None:
    operation, exact = OPERATIONS[name]
    inputs = inputs_of(name, 5, 40, torch.float32)
    inputs[0] = inputs[0].transpose(0, 1).contiguous().transpose(0, 1)
    grads = []
    for run, leaves in ((operation, inputs), (exact, [x.double() for x in inputs])):
        leaf = leaves[0].detach().requires_grad_()
        run(leaf, *leaves[1:]).sum().backward()  # the gradient of a sum is one number, seen many times
        assert leaf.grad is not None
        grads.append(leaf.grad)
    assert_rounded_once(grads[0], grads[1])
    every_second = [torch.stack((x, -x), dim=-1)[..., 0] for x in inputs]
    assert torch.equal(operation(*every_second), operation(*inputs))


@pytest.mark.parametrize("name", OPERATIONS)
def test_they_work_under_checkpointing_and_more_than_one_backward_pass(name: str) -> None:
    operation, _ = OPERATIONS[name]
    inputs = inputs_of(name, 5, 16, torch.float32)
    once = outcome(operation, inputs)
    again = outcome(lambda *leaves: checkpoint(operation, *leaves, use_reentrant=False), inputs)
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))
    leaf = inputs[0].detach().requires_grad_()
    total = operation(leaf, *inputs[1:]).square().sum()
    first = torch.autograd.grad(total, leaf, retain_graph=True)[0]
    assert torch.equal(first, torch.autograd.grad(total, leaf)[0])


def test_a_second_derivative_is_refused() -> None:
    for name, (operation, _) in OPERATIONS.items():
        leaf, *rest = inputs_of(name, 5, 16, torch.float32)
        grad = torch.autograd.grad(operation(leaf.requires_grad_(), *rest).square().sum(), leaf, create_graph=True)[0]
        with pytest.raises(RuntimeError, match="once_differentiable"):
            grad.sum().backward()


def test_nothing_is_kept_without_gradients_and_a_frozen_weight_gets_none() -> None:
    x, weight = inputs_of("norm", 5, 16, torch.bfloat16)
    with torch.no_grad():
        assert norm(x, weight.requires_grad_()).grad_fn is None
    frozen, leaf = weight.detach(), x.requires_grad_()
    norm(leaf, frozen).sum().backward()
    assert leaf.grad is not None
    assert frozen.grad is None


def test_wrong_widths_are_refused() -> None:
    with pytest.raises(AssertionError):
        norm(torch.ones(2, 16), torch.ones(15))
    with pytest.raises(AssertionError):
        swiglu(torch.ones(2, 15))
    with pytest.raises(AssertionError):
        rotate_halves(torch.ones(1, 2, 1, 15), torch.ones(2, 1, 7, dtype=torch.complex64))
