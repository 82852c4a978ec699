"""What kernels write to has the type that they write, whatever torch's default is."""

import pytest
import torch
from torch import Tensor

from cogitate.engine.generator import Engine
from cogitate.kernels import native_library
from cogitate.model.causal_attention import attend
from cogitate.model.layers import RMSNorm
from cogitate.model.transformer import Transformer
from cogitate.model.visibility import Visibility
from tests.engine.random_model import make_model
from tests.engine.test_speculation import SMALL, requests, run


def computed(model: Transformer, norm: RMSNorm) -> list[Tensor]:
    """By all kernels whose results are of another type than what they read: completions, attention, norms."""
    engine = Engine(model, end_id=3, max_batch=5, max_context=64, speculative=True)
    logprobs = [torch.tensor(each.logprobs, dtype=torch.float64) for each in run(engine, requests()).values()]
    x = torch.linspace(-3, 5, 2 * 9 * 4 * 8, dtype=torch.float32).view(2, 9, 4, 8).requires_grad_()
    seen = Visibility(9, torch.device("cpu"), torch.float32, None, False, None, None)
    out = attend(norm(x), x[:, :, :2], x[:, :, 2:], seen, 0.3)
    return [*logprobs, out.detach(), *torch.autograd.grad(out.square().sum(), x)]


@pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")
def test_results_do_not_depend_on_the_default_type() -> None:
    model, norm = make_model(SMALL), RMSNorm(8, 1e-6)
    expected = computed(model, norm)
    torch.set_default_dtype(torch.bfloat16)
    try:
        got = computed(model, norm)
    finally:
        torch.set_default_dtype(torch.float32)
    assert [x.dtype for x in got] == [x.dtype for x in expected]
    assert all(torch.equal(*pair) for pair in zip(got, expected, strict=True))
