"""Log-probabilities from hidden states against plain ones in float64."""

import pytest
import torch
from torch import Tensor

from cogitate.kernels import native_library
from cogitate.model import head
from cogitate.model.head import token_logprobs

WIDTH = 24


@pytest.fixture(params=["native", "plain"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both forms of what is done with a chunk's logits."""
    if request.param == "plain":
        monkeypatch.setattr(head, "runs_natively", lambda logits: False)
    elif native_library() is None:
        pytest.skip("no C++ compiler")
    return str(request.param)


def given(vocabulary: int, dtype: torch.dtype, tokens: int = 50) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    made = torch.Generator().manual_seed(3)
    hidden = torch.randn(tokens, WIDTH, generator=made).to(dtype).requires_grad_()
    weight = torch.randn(vocabulary, WIDTH, generator=made).to(dtype).requires_grad_()
    targets = torch.randint(0, vocabulary, (tokens,), generator=made)
    return hidden, weight, targets, torch.randn(tokens, generator=made)


def exact(hidden: Tensor, weight: Tensor, targets: Tensor, grads: Tensor, temperature: float) -> list[Tensor]:
    hidden, weight = hidden.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    logprobs = torch.log_softmax(hidden @ weight.t() / temperature, dim=-1)
    chosen = logprobs.gather(1, targets[:, None])[:, 0]
    gradients = torch.autograd.grad((chosen * grads).sum(), (hidden, weight))
    return [chosen.detach(), -(logprobs.exp() * logprobs).sum(-1).detach(), *gradients]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("vocabulary", [1, 37, 64, 515])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("chunk", [None, 16])
def test_chunks_give_the_plain_logprobs_entropies_and_gradients(
    form: str, dtype: torch.dtype, vocabulary: int, temperature: float, chunk: int | None
) -> None:
    hidden, weight, targets, grads = given(vocabulary, dtype)
    logprobs, entropy = token_logprobs(hidden, weight, targets, temperature=temperature, chunk=chunk)
    assert logprobs.dtype == entropy.dtype == torch.float32
    assert not entropy.requires_grad
    found = [logprobs.detach(), entropy, *torch.autograd.grad((logprobs * grads).sum(), (hidden, weight))]
    bound = 1e-5 if dtype == torch.float32 else 2e-2  # bfloat16 logits have 8 bits
    for made, right in zip(found, exact(hidden, weight, targets, grads, temperature), strict=True):
        assert float((made.double() - right).norm()) <= bound * float(right.norm().clamp_min(grads.norm()))


def test_logits_computed_again_give_the_gradients_of_kept_ones(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, targets, grads = given(300, torch.float32)
    kept = torch.autograd.grad((token_logprobs(hidden, weight, targets)[0] * grads).sum(), (hidden, weight))
    monkeypatch.setattr(head, "KEPT_LOGITS", 0)
    again = torch.autograd.grad((token_logprobs(hidden, weight, targets)[0] * grads).sum(), (hidden, weight))
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))


@pytest.mark.parametrize("kept_bytes", [0, 1 << 24], ids=["scratch let go of", "scratch kept"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_gradients_do_not_depend_on_who_has_used_the_scratch_memory_meanwhile(
    form: str, dtype: torch.dtype, kept_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "KEPT_LOGITS", 0)
    monkeypatch.setattr(head, "KEPT_SCRATCH_BYTES", kept_bytes)
    computed, mm = [], torch.mm

    def counted_mm(*given: Tensor, **named: Tensor) -> Tensor:
        computed.append(0)
        return mm(*given, **named)

    monkeypatch.setattr(torch, "mm", counted_mm)
    hidden, weight, targets, grads = given(300, dtype)
    first = (token_logprobs(hidden, weight, targets)[0] * grads).sum()
    at_once = torch.autograd.grad(first, (hidden, weight), retain_graph=True)
    assert len(computed) == 2  # the logits once, and the gradient of hidden
    again = torch.autograd.grad(first, (hidden, weight))  # gradients lie there now
    second = (token_logprobs(hidden, weight, targets)[0] * grads).sum()
    token_logprobs(hidden * 2, weight, targets)
    after_others = torch.autograd.grad(second, (hidden, weight))
    assert len(computed) == 2 + 2 + 2 + 2
    assert (head._memory.scratch is None) == (kept_bytes == 0)
    for others in (again, after_others):
        assert all(torch.equal(a, b) for a, b in zip(at_once, others, strict=True))


def test_scratch_memory_that_another_backward_pass_has_let_go_of_is_not_read(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 logits are kept, in bfloat16 they lie in scratch memory."""
    monkeypatch.setattr(head, "KEPT_SCRATCH_BYTES", 0)
    hidden, weight, targets, grads = given(300, torch.bfloat16)
    at_once = torch.autograd.grad((token_logprobs(hidden, weight, targets)[0] * grads).sum(), (hidden, weight))
    kept_hidden, kept_weight, *_ = given(300, torch.float32)
    in_scratch = (token_logprobs(hidden, weight, targets)[0] * grads).sum()
    token_logprobs(kept_hidden, kept_weight, targets)[0].sum().backward()
    for _ in range(3):
        torch.full((len(targets) * 300,), float("nan"), dtype=torch.bfloat16)  # memory that is free holds anything
    after = torch.autograd.grad(in_scratch, (hidden, weight))
    assert all(torch.equal(a, b) for a, b in zip(at_once, after, strict=True))


@pytest.mark.parametrize("target", [-1, 37])
def test_a_target_that_is_no_token_is_refused(form: str, target: int) -> None:
    hidden, weight, targets, _ = given(37, torch.float32)
    targets[-1] = target
    with pytest.raises((AssertionError, RuntimeError), match=r"targets must be from 0 to 36|out of bounds"):
        token_logprobs(hidden, weight, targets)


def test_a_logit_of_minus_infinity_is_a_token_that_never_comes(form: str) -> None:
    hidden = torch.tensor([[1.0, 0.0]], requires_grad=True)
    weight = torch.tensor([[0.5, 0.0], [float("-inf"), 0.0], [0.5, 0.0]])
    logprob, entropy = token_logprobs(hidden, weight, torch.tensor([2]))
    assert logprob.item() == pytest.approx(-0.6931472)
    assert entropy.item() == pytest.approx(0.6931472)


@pytest.mark.skipif(native_library() is None, reason="no C++ compiler")
@pytest.mark.skipif(native_library() is None, reason="no C++ compiler")
def test_the_kernel_loses_no_digits_in_the_sums_of_a_large_vocabulary() -> None:
    hidden, weight, targets, _ = given(49_152, torch.float32)
    logprobs, entropies = token_logprobs(hidden.detach(), weight.detach(), targets)
    scores = torch.log_softmax((hidden @ weight.t()).detach().double(), dim=-1)
    chosen = scores.gather(1, targets[:, None])[:, 0]
    assert (logprobs - chosen).abs().max() < 4e-6  # two roundings of numbers about 30
    assert (entropies + (scores.exp() * scores).sum(-1)).abs().max() < 2e-6  # a sum in float32 alone is off by 8e-6


@pytest.mark.skipif(native_library() is None, reason="no C++ compiler: PyTorch leaves the logits as they are")
def test_a_second_backward_pass_over_kept_logits_is_refused() -> None:
    """They hold gradients by then."""
    hidden, weight, targets, _ = given(64, torch.float32)
    logprobs, _ = token_logprobs(hidden, weight, targets)
    logprobs.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logprobs.sum().backward()


def test_no_tokens_have_no_logprobs() -> None:
    hidden, weight, targets, _ = given(64, torch.float32, tokens=0)
    logprobs, entropy = token_logprobs(hidden, weight, targets)
    logprobs.sum().backward()
    assert logprobs.shape == entropy.shape == (0,)
    assert weight.grad is not None
    assert torch.equal(weight.grad, torch.zeros_like(weight))
