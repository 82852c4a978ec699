"""What policy losses are made of: averages, KL estimators, importance weights, the log-prob gap and the value loss, by hand."""

import math

import pytest
import torch

from cogitate.algorithms.averages import AVERAGES, Average, BatchTotals, dr_grpo_mean, sequence_mean, token_mean
from cogitate.algorithms.kl import k1_kl, k2_kl, k3_kl
from cogitate.algorithms.policy_loss import grpo_loss
from cogitate.algorithms.sampler_gap import IMPORTANCE_WEIGHTS, logprob_gap, truncated_importance_weights
from cogitate.algorithms.value_loss import value_loss
from tests.algorithms.trl import CLIP


def test_the_three_averages_by_hand() -> None:
    losses = torch.tensor([[2.0, 4.0, 6.0, math.nan], [10.0, math.nan, math.nan, math.nan]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    totals = BatchTotals.of(mask, max_new_tokens=11)
    assert totals == BatchTotals(sequences=2, tokens=4, max_new_tokens=11)
    assert sequence_mean(losses, mask, totals).item() == (4 + 10) / 2
    assert token_mean(losses, mask, totals).item() == 22 / 4
    assert dr_grpo_mean(losses, mask, totals).item() == 22 / (2 * 11)


def test_rows_without_counted_tokens_weigh_nothing() -> None:
    mask = torch.tensor([[1, 1], [0, 0], [1, 0]])
    totals = BatchTotals.of(mask, 2)
    assert (totals.sequences, totals.tokens) == (2, 3)
    assert sequence_mean(torch.tensor([[1.0, 3.0], [9.0, 9.0], [4.0, 9.0]]), mask, totals).item() == 3.0


@pytest.mark.parametrize("average", AVERAGES.values(), ids=AVERAGES.keys())
def test_a_batch_without_any_counted_token_is_refused(average: Average) -> None:
    mask = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="nothing to average"):
        average(torch.ones(2, 3), mask, BatchTotals.of(mask, 3))


def test_kl_estimators_by_hand_and_in_expectation() -> None:
    logprobs, ref = torch.tensor([[0.0]]), torch.tensor([[math.log(2.0)]])
    assert k1_kl(logprobs, ref).item() == pytest.approx(-math.log(2))
    assert k2_kl(logprobs, ref).item() == pytest.approx(math.log(2) ** 2 / 2)
    assert k3_kl(logprobs, ref).item() == pytest.approx(1 - math.log(2))
    policy = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    reference = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    exact = (policy * (policy / reference).log()).sum()
    for estimate in (k1_kl, k3_kl):
        torch.testing.assert_close((policy * estimate(policy.log(), reference.log())).sum(), exact)
    assert (k3_kl(policy.log(), reference.log()) >= 0).all()


def test_the_kl_of_the_loss_is_the_chosen_estimate_and_what_is_measured_is_k3() -> None:
    ones = torch.ones(1, 1)
    result = grpo_loss(
        0 * ones,
        None,
        torch.tensor([0.0]),
        ones,
        average=token_mean,
        totals=BatchTotals(1, 1, 1),
        ref_logprobs_BT=0.5 * ones,
        kl_beta=1.0,
        kl_estimate=k2_kl,
        **CLIP,
    )
    assert result.loss.item() == pytest.approx(0.5 * 0.5**2)
    assert result.statistics.metrics()["kl"] == pytest.approx(math.exp(0.5) - 0.5 - 1)


def test_importance_weights_are_capped_constant_and_one_outside_the_mask() -> None:
    old = torch.tensor([[0.0, math.log(0.5), math.nan]], requires_grad=True)
    sampler = torch.tensor([[-math.log(8.0), 0.0, 0.0]])
    weights = truncated_importance_weights(old, sampler, torch.tensor([[1, 1, 0]]), cap=2.0)
    torch.testing.assert_close(weights, torch.tensor([[2.0, 0.5, 1.0]]))
    assert not weights.requires_grad
    with pytest.raises(ValueError, match="positive"):
        truncated_importance_weights(old, sampler, torch.ones(1, 3), cap=0.0)


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        # gaps: log 3 and log 1/2 in the first completion, together log 1.5; log 4 in the second
        ("token_truncate", [[2.0, 0.5], [2.0, 1.0]]),
        ("token_mask", [[0.0, 0.5], [0.0, 1.0]]),
        ("sequence_truncate", [[1.5, 1.5], [2.0, 2.0]]),
        ("sequence_mask", [[1.5, 1.5], [0.0, 0.0]]),
    ],
)
def test_importance_weights_of_tokens_and_of_completions_truncated_and_masked(
    correction: str, expected: list[list[float]]
) -> None:
    old = torch.tensor([[3.0, 0.5], [4.0, math.nan]]).log()
    weights = IMPORTANCE_WEIGHTS[correction](old, torch.zeros(2, 2), torch.tensor([[1, 1], [1, 0]]), cap=2.0)
    torch.testing.assert_close(weights, torch.tensor(expected))


def test_importance_weights_scale_the_surrogate_but_not_the_kl() -> None:
    ones = torch.ones(1, 1)
    loss = grpo_loss(
        0 * ones,
        None,
        torch.tensor([3.0]),
        ones,
        average=token_mean,
        totals=BatchTotals(1, 1, 1),
        ref_logprobs_BT=0.5 * ones,
        kl_beta=1.0,
        importance_weights_BT=0.5 * ones,
        **CLIP,
    ).loss
    assert loss.item() == pytest.approx(-1.5 + math.exp(0.5) - 0.5 - 1)


def test_the_logprob_gap_is_summed_and_maximal_inside_the_mask() -> None:
    total, largest = logprob_gap(
        torch.tensor([[-1.0, -2.0, 5.0]]), torch.tensor([[-1.5, -1.75, 0.0]]), torch.tensor([[1, 1, 0]])
    )
    assert (total.item(), largest.item()) == (0.75, 0.5)


def test_value_loss_by_hand() -> None:
    # V 3, old 1, R 4: plain (3-4)^2 = 1; clipped value 1.5: (1.5-4)^2 = 6.25, the larger.  V 1, old 1, R 3: both 4.
    values = torch.tensor([[3.0, 1.0, math.nan]], requires_grad=True)
    old, returns = torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[4.0, 3.0, 0.0]])
    mask = torch.tensor([[1, 1, 0]])
    totals = BatchTotals.of(mask, 3)
    loss, clipped = value_loss(values, old, returns, mask, clip_eps=0.5, totals=totals)
    loss.backward()
    assert loss.item() == pytest.approx((6.25 + 4.0) / 2 / 2)
    assert clipped.item() == 1
    torch.testing.assert_close(values.grad, torch.tensor([[0.0, -1.0, 0.0]]))
    plain, none_clipped = value_loss(values, old, returns, mask, clip_eps=math.inf, totals=totals)
    assert plain.item() == pytest.approx((1.0 + 4.0) / 2 / 2)
    assert none_clipped.item() == 0
