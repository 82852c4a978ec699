"""What the dense MLP and attention keep for the backward pass."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from cogitate.kernels import native_library
from cogitate.model import linear
from cogitate.model.causal_attention import attend
from cogitate.model.layers import MLP, swiglu
from cogitate.model.visibility import Visibility

pytestmark = pytest.mark.skipif(native_library() is None, reason="no compiled kernels here")

ROWS, WIDTH, INNER = 96, 64, 128


@pytest.mark.parametrize("bias", [True, False], ids=["with a bias", "without"])
def test_an_mlp_computes_its_inner_values_again_and_learns_the_same_bits(bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "LEAST_ROWS", 0)
    monkeypatch.setattr(linear, "LEAST_WIDTH", 0)
    torch.manual_seed(0)
    mlp = MLP(WIDTH, INNER, bias=bias).bfloat16()
    x, towards = torch.randn(2, ROWS // 2, WIDTH).bfloat16(), torch.randn(2, ROWS // 2, WIDTH).bfloat16()
    found = []
    for in_parts in (False, True):
        source = x.clone().requires_grad_()
        out = mlp.down_proj(swiglu(mlp.gate_up_proj(source))) if in_parts else mlp(source)
        mlp.zero_grad()
        out.backward(towards)
        found.append([out.detach(), source.grad, *(parameter.grad for parameter in mlp.parameters())])
    assert all(torch.equal(ours, in_parts) for ours, in_parts in zip(*found, strict=True))
    weights = {parameter.data_ptr() for parameter in mlp.parameters()}
    assert kept(lambda: mlp(x.clone().requires_grad_()), weights) == ROWS * (WIDTH + 2 * INNER) * 2


def test_attention_keeps_its_values_and_not_the_projection_around_them() -> None:
    heads = torch.randn(1, 40, 4, 32, requires_grad=True)
    q, k, _ = heads.split((2, 1, 1), dim=2)

    def run() -> Tensor:
        v = (heads * 1)[:, :, 3:]
        return attend(q.clone(), k.clone(), v, Visibility(40, heads.device, heads.dtype, None, False, None, None), 1.0)

    of_a_head, ranges, logsumexp = 40 * 32 * 4, 40 * 5 * 4, 2 * 40 * 4
    assert kept(run, set()) == of_a_head * (2 + 1 + 1 + 2) + ranges + logsumexp  # q, k, v, out


def kept(run: Callable[[], Tensor], besides: set[int]) -> int:
    """Bytes of the memory that `run` keeps for its backward pass, what is at the addresses `besides` left out."""
    held: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        if x.untyped_storage().data_ptr() not in besides:
            held[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with saved_tensors_hooks(pack, lambda x: x):
        out = run()
    assert out.requires_grad
    return sum(held.values())
