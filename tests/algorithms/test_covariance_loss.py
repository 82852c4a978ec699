"""KL-Cov and Clip-Cov: which tokens they choose and what becomes of them, worked by hand."""

import math

import pytest
import torch

from cogitate.algorithms.averages import BatchTotals, token_mean
from cogitate.algorithms.covariance_loss import (
    clip_cov_loss,
    covariances,
    drawn_covariances,
    highest_covariances,
    kl_cov_loss,
)

TOTALS = BatchTotals(2, 4, 2)


def test_covariances_by_hand() -> None:
    # means -2 and 0.5
    found = covariances(torch.tensor([-1.0, -2.0, -3.0, -2.0]), torch.tensor([1.5, 1.5, -0.5, -0.5]))
    assert found.tolist() == [1.0, 0.0, 1.0, 0.0]


def test_the_highest_are_chosen_at_least_one_and_the_first_of_equals() -> None:
    values = torch.tensor([1.0, 3.0, 0.0, 3.0, 2.0])
    assert highest_covariances(values, share=2e-4).tolist() == [False, True, False, False, False]
    assert highest_covariances(values, share=0.6).tolist() == [False, True, False, True, True]


def test_clip_cov_draws_from_those_between_the_bounds_and_the_generator_decides() -> None:
    values = torch.tensor([0.5, 1.5, 2.0, 3.0, 9.0, 4.0])

    def drawn(share: float, seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return drawn_covariances(values, share=share, low=1.0, high=5.0, generator=generator).nonzero().squeeze(1).tolist()

    assert drawn(1.0, 0) == [1, 2, 3, 5]
    assert drawn(0.4, 7) == drawn(0.4, 7)
    assert {tuple(drawn(0.4, seed)) for seed in range(40)} == {(1, 2), (1, 3), (1, 5), (2, 3), (2, 5), (3, 5)}
    nothing = drawn_covariances(values, share=1.0, low=10.0, high=20.0, generator=torch.Generator())
    assert not nothing.any()


def test_kl_cov_by_hand() -> None:
    # ratios 2, 1/2, 1/4; advantages 1, 1, -2; the second and third token are chosen, with weight 3 of |log ratio|
    logprobs = torch.tensor([[2.0, 0.5], [0.25, math.nan]]).log().requires_grad_()
    mask, chosen = torch.tensor([[1, 1], [1, 0]]), torch.tensor([[False, True], [True, False]])
    result = kl_cov_loss(
        logprobs, torch.zeros(2, 2), torch.tensor([1.0, -2.0]), mask, chosen_BT=chosen, covariance_kl=3.0, average=token_mean,
        totals=BatchTotals.of(mask, 2),
    )  # fmt: skip
    result.loss.backward()
    assert result.loss.item() == pytest.approx((-2.0 - 0.5 + 0.5 + 3 * math.log(2) + 3 * math.log(4)) / 3)
    # d ratio / d log pi = ratio; |log ratio| falls towards 0 from below
    torch.testing.assert_close(logprobs.grad, torch.tensor([[-2.0, -0.5 - 3.0], [0.5 - 3.0, 0.0]]) / 3)


def test_clip_cov_by_hand() -> None:
    # ratios 1.5 (clipped at 1.3), 1.1, 1.1 and 0.5; the second loses its gradient and still divides
    logprobs = torch.tensor([[1.5, 1.1], [1.1, 0.5]]).log().requires_grad_()
    chosen = torch.tensor([[False, True], [False, False]])
    result = clip_cov_loss(
        logprobs, torch.zeros(2, 2), torch.tensor([2.0, 2.0]), torch.ones(2, 2), chosen_BT=chosen, clip_eps_low=0.2,
        clip_eps_high=0.3, average=token_mean, totals=TOTALS,
    )  # fmt: skip
    result.loss.backward()
    assert result.loss.item() == pytest.approx(-(2.6 + 2.2 + 1.0) / 4)
    torch.testing.assert_close(logprobs.grad, -torch.tensor([[0.0, 0.0], [2.2, 1.0]]) / 4)
    assert result.statistics.metrics()["clip_share_high"] == 0.5
