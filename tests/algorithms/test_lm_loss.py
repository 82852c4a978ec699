"""Next-token loss: numbers worked by hand, torch's cross entropy, document boundaries, and micro-batches."""

import math
from collections.abc import Sequence

import pytest
import torch

from cogitate.algorithms.lm_loss import lm_loss, next_token_targets


def test_targets_are_the_next_tokens_within_a_document() -> None:
    tokens = torch.tensor([[5, 6, 7, 8, 9, 0]])
    documents = torch.tensor([[0, 0, 0, 1, 1, -1]])
    loss_mask = torch.tensor([[1, 0, 1, 1, 1, 0]])  # token 6 is a prompt's, the last is padding
    targets, mask = next_token_targets(tokens, loss_mask, documents)
    assert mask.tolist() == [[False, True, False, True, False, False]]
    assert targets[mask].tolist() == [7, 9]


def test_targets_two_ahead_skip_one_and_stay_within_a_document() -> None:
    tokens = torch.tensor([[5, 6, 7, 8, 9, 4]])
    documents = torch.tensor([[0, 0, 0, 0, 1, 1]])
    targets, mask = next_token_targets(tokens, torch.ones_like(tokens), documents, ahead=2)
    assert mask.tolist() == [[True, True, False, False, False, False]]
    assert targets[mask].tolist() == [7, 8]


def test_the_first_token_of_a_document_is_never_a_target() -> None:
    documents = torch.tensor([[0, 0, 1, 1, 2, 2]])
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6]])
    targets, mask = next_token_targets(tokens, torch.ones_like(tokens), documents)
    assert targets[mask].tolist() == [2, 4, 6]


def test_rows_shorter_than_the_distance_have_no_target() -> None:
    _, mask = next_token_targets(torch.tensor([[3]]), torch.ones(1, 1), ahead=2)
    assert not mask.any()
    with pytest.raises(ValueError, match="at least 1, got 0"):
        next_token_targets(torch.tensor([[3, 4]]), torch.ones(1, 2), ahead=0)


def test_the_loss_by_hand() -> None:
    loss = lm_loss(torch.tensor([0.25, 0.75]).log(), total_tokens=2)
    assert loss.item() == pytest.approx((math.log(4) + math.log(4 / 3)) / 2)


def test_the_z_term_is_the_mean_squared_log_normaliser() -> None:
    logprobs, normalisers = torch.tensor([-1.0, -2.0]), torch.tensor([3.0, 4.0])
    with_z = lm_loss(logprobs, total_tokens=2, log_normalisers_N=normalisers, z_weight=0.1)
    assert with_z.item() == pytest.approx((3 + 0.1 * (9 + 16)) / 2)
    with pytest.raises(ValueError, match="no log_normalisers"):
        lm_loss(logprobs, total_tokens=2, z_weight=0.1)


def counted_logprobs(
    logits: torch.Tensor,
    tokens: torch.Tensor,
    loss_mask: torch.Tensor,
    documents: torch.Tensor | None = None,
    *,
    ahead: int = 1,
) -> torch.Tensor:
    targets, mask = next_token_targets(tokens, loss_mask, documents, ahead=ahead)
    return logits.log_softmax(-1)[mask].gather(1, targets[mask][:, None])[:, 0]


def test_loss_and_gradient_over_packed_rows_are_those_of_each_document_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 7, 11, generator=generator).requires_grad_()
    other = logits.detach().clone().requires_grad_()
    tokens = torch.randint(0, 11, (1, 7), generator=generator)
    documents = torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    loss = lm_loss(counted_logprobs(logits, tokens, torch.ones(1, 7), documents), total_tokens=5)
    cross_entropy = torch.nn.functional.cross_entropy
    first = cross_entropy(other[0, :2], tokens[0, 1:3], reduction="sum")
    second = cross_entropy(other[0, 3:6], tokens[0, 4:], reduction="sum")
    reference = (first + second) / 5
    loss.backward()
    reference.backward()
    torch.testing.assert_close(loss, reference)
    torch.testing.assert_close(logits.grad, other.grad)


@pytest.mark.parametrize("micro_batches", [1, 2, 4])
def test_accumulation_over_micro_batches_equals_one_batch(micro_batches: int) -> None:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 9, (4, 6), generator=generator)
    loss_mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]])
    total = int(next_token_targets(tokens, loss_mask)[1].sum())
    logits = torch.randn(4, 6, 9, generator=generator)

    def run(parts: Sequence[torch.Tensor]) -> tuple[float, torch.Tensor | None]:
        weights = logits.clone().requires_grad_()
        losses = 0.0
        for rows in parts:
            main = lm_loss(counted_logprobs(weights[rows], tokens[rows], loss_mask[rows]), total_tokens=total)
            ahead = counted_logprobs(weights[rows], tokens[rows], loss_mask[rows], ahead=2)
            loss = main + 0.3 * lm_loss(ahead, total_tokens=total)
            loss.backward()
            losses += loss.item()
        return losses, weights.grad

    whole, whole_gradient = run([torch.arange(4)])
    split, split_gradient = run(torch.arange(4).tensor_split(micro_batches))
    assert split == pytest.approx(whole, abs=1e-6)
    torch.testing.assert_close(split_gradient, whole_gradient, rtol=0, atol=1e-6)


def test_a_batch_without_targets_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to learn"):
        lm_loss(torch.zeros(0), total_tokens=0)


def test_a_micro_batch_without_targets_adds_zero() -> None:
    assert lm_loss(torch.zeros(0), total_tokens=5).item() == 0.0
