"""Policy losses: numbers worked by hand, TRL's losses and gradients, and independence of the cut into micro-batches."""

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate.algorithms.kl import k1_kl, k2_kl, k3_kl
from cogitate.algorithms.policy_loss import (
    AVERAGES,
    Average,
    BatchTotals,
    PolicyLoss,
    cispo_loss,
    dr_grpo_mean,
    grpo_loss,
    gspo_loss,
    reinforce_loss,
    sequence_mean,
    token_mean,
    value_loss,
)
from cogitate.algorithms.sampler_gap import logprob_gap, truncated_importance_weights

TRL = json.loads(Path(__file__).with_name("trl_reference.json").read_text())
INPUTS = {name: torch.tensor(value) for name, value in TRL["policy_inputs"].items()}
SETTINGS = TRL["settings"]
CLIP = {"clip_eps_low": SETTINGS["clip_eps_low"], "clip_eps_high": SETTINGS["clip_eps_high"]}


def test_the_three_averages_by_hand() -> None:
    losses = torch.tensor([[2.0, 4.0, 6.0, math.nan], [10.0, math.nan, math.nan, math.nan]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    totals = BatchTotals.of(mask, max_new_tokens=11)
    assert totals == BatchTotals(sequences=2, tokens=4, max_new_tokens=11)
    assert sequence_mean(losses, mask, totals).item() == (4 + 10) / 2
    assert token_mean(losses, mask, totals).item() == 22 / 4
    assert dr_grpo_mean(losses, mask, totals).item() == 22 / (2 * 11)


def test_grpo_by_hand_at_every_side_of_the_bounds() -> None:
    # ratio:     1.5 (A > 0, clipped)  0.5 (A > 0, free)  1.5 (A < 0, free)  0.5 (A < 0, clipped)
    # surrogate: 1.3 * 2               0.5 * 2            1.5 * -1           0.8 * -1
    old = torch.zeros(2, 2)
    logprobs = torch.tensor([[1.5, 0.5], [1.5, 0.5]]).log().requires_grad_()
    result = grpo_loss(
        logprobs,
        old,
        torch.tensor([2.0, -1.0]),
        torch.ones(2, 2),
        clip_eps_low=0.2,
        clip_eps_high=0.3,
        average=token_mean,
        totals=BatchTotals(2, 4, 2),
    )
    result.loss.backward()
    assert result.loss.item() == pytest.approx(-(2.6 + 1.0 - 1.5 - 0.8) / 4)
    # d(-ratio A / 4) / d log pi = -ratio A / 4 where free, 0 where clipped
    torch.testing.assert_close(logprobs.grad, torch.tensor([[0.0, -0.25], [0.375, 0.0]]))
    metrics = result.statistics.metrics()
    assert metrics["clip_share_low"] == metrics["clip_share_high"] == 0.25
    assert metrics["clip_share"] == 0.5
    assert metrics["ratio_mean"] == pytest.approx(1.0)
    assert metrics["ratio_max"] == pytest.approx(1.5)
    assert metrics["old_kl"] == pytest.approx((2 * (0.5 - math.log(1.5)) + 2 * (-0.5 - math.log(0.5))) / 4)


def test_on_the_first_step_the_gradient_is_the_policy_gradient() -> None:
    logprobs = INPUTS["logprobs"].clone().requires_grad_()
    mask, advantages = INPUTS["mask"], INPUTS["advantages"]
    totals = BatchTotals.of(mask, 7)
    result = grpo_loss(logprobs, None, advantages, mask, average=sequence_mean, totals=totals, **CLIP)
    result.loss.backward()
    lengths = mask.sum(1, keepdim=True)
    torch.testing.assert_close(logprobs.grad, -advantages[:, None] * mask / lengths / 6)
    assert result.statistics.metrics()["clip_share"] == 0.0


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("grpo", partial(grpo_loss, average=sequence_mean)),
        ("grpo_kl", partial(grpo_loss, average=sequence_mean)),
        ("grpo_importance", partial(grpo_loss, average=sequence_mean, importance_weights_BT=INPUTS["importance_weights"])),
        ("bnpo", partial(grpo_loss, average=token_mean)),
        ("dapo", partial(grpo_loss, average=token_mean)),
        ("dr_grpo", partial(grpo_loss, average=dr_grpo_mean)),
        ("gspo", gspo_loss),
        ("cispo", partial(cispo_loss, average=token_mean)),
    ],
)
def test_losses_and_gradients_are_those_of_trl(name: str, loss: Callable[..., PolicyLoss]) -> None:
    reference = TRL["policy"][name]
    logprobs = INPUTS["logprobs"].clone().requires_grad_()
    clip = dict(CLIP, clip_eps_low=1.0) if name == "cispo" else CLIP  # TRL's cispo has no lower bound
    result = loss(
        logprobs,
        INPUTS["old_logprobs"],
        INPUTS["advantages"],
        INPUTS["mask"],
        totals=BatchTotals.of(INPUTS["mask"], SETTINGS["max_new_tokens"]),
        ref_logprobs_BT=INPUTS["ref_logprobs"],
        kl_beta=reference["beta"],
        **clip,
    )
    result.loss.backward()
    assert result.loss.item() == pytest.approx(reference["loss"], rel=1e-5)
    torch.testing.assert_close(logprobs.grad, torch.tensor(reference["gradient"]), rtol=1e-5, atol=1e-7)
    metrics = result.statistics.metrics()
    if reference["beta"]:
        assert metrics["kl"] == pytest.approx(reference["metrics"]["kl"], rel=1e-5)
    if name.startswith(("grpo", "dapo")):
        assert metrics["clip_share_low"] == pytest.approx(reference["metrics"]["clip_ratio/low_mean"])
        assert metrics["clip_share_high"] == pytest.approx(reference["metrics"]["clip_ratio/high_mean"])
        assert metrics["clip_share"] > 0, "the fixture must exercise the bounds"


LOSSES = {
    **{f"grpo, {name} average": partial(grpo_loss, average=average) for name, average in AVERAGES.items()},
    **{f"cispo, {name} average": partial(cispo_loss, average=average) for name, average in AVERAGES.items()},
    "gspo": gspo_loss,
    "reinforce": lambda *inputs, clip_eps_low, clip_eps_high, **settings: reinforce_loss(
        *inputs, average=token_mean, **settings
    ),
    "grpo, k2": partial(grpo_loss, average=token_mean, kl_estimate=k2_kl),
}


@pytest.mark.parametrize("micro_batches", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_accumulation_over_micro_batches_equals_one_batch(loss: Callable[..., PolicyLoss], micro_batches: int) -> None:
    order = torch.tensor([3, 0, 5, 1, 4, 2])  # rows of unequal length in every part
    inputs = {name: tensor[order] for name, tensor in INPUTS.items()}
    totals = BatchTotals.of(inputs["mask"], 8)

    def run(parts: Sequence[torch.Tensor]) -> tuple[float, torch.Tensor | None, dict[str, float]]:
        logprobs = inputs["logprobs"].clone().requires_grad_()
        total, statistics = 0.0, None
        for rows in parts:
            result = loss(
                logprobs[rows],
                inputs["old_logprobs"][rows],
                inputs["advantages"][rows],
                inputs["mask"][rows],
                totals=totals,
                ref_logprobs_BT=inputs["ref_logprobs"][rows],
                kl_beta=0.04,
                importance_weights_BT=inputs["importance_weights"][rows],
                **CLIP,
            )
            result.loss.backward()
            total += result.loss.item()
            statistics = result.statistics if statistics is None else statistics + result.statistics
        assert statistics is not None
        return total, logprobs.grad, statistics.metrics()

    whole_loss, whole_gradient, whole_metrics = run([torch.arange(6)])
    split_loss, split_gradient, split_metrics = run(torch.arange(6).tensor_split(micro_batches))
    assert split_loss == pytest.approx(whole_loss, abs=1e-6)
    torch.testing.assert_close(split_gradient, whole_gradient, rtol=0, atol=1e-6)
    assert split_metrics == pytest.approx(whole_metrics, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_nothing_outside_the_mask_is_read_and_padding_wider_changes_nothing(loss: Callable[..., PolicyLoss]) -> None:
    def run(inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        logprobs = inputs["logprobs"].clone().requires_grad_()
        result = loss(
            logprobs,
            inputs["old_logprobs"],
            inputs["advantages"],
            inputs["mask"],
            totals=BatchTotals.of(inputs["mask"], 8),
            ref_logprobs_BT=inputs["ref_logprobs"],
            kl_beta=0.1,
            importance_weights_BT=inputs["importance_weights"],
            **CLIP,
        )
        result.loss.backward()
        assert logprobs.grad is not None
        return result.loss, logprobs.grad, result.statistics.metrics()

    clean_loss, clean_gradient, clean_metrics = run(INPUTS)
    dirty = dict(INPUTS)
    for name in ("logprobs", "old_logprobs", "ref_logprobs", "importance_weights"):
        padded = torch.nn.functional.pad(INPUTS[name], (0, 2))
        dirty[name] = padded.masked_fill(torch.nn.functional.pad(INPUTS["mask"], (0, 2)) == 0, math.nan)
    dirty["mask"] = torch.nn.functional.pad(INPUTS["mask"], (0, 2))
    dirty_loss, dirty_gradient, dirty_metrics = run(dirty)
    torch.testing.assert_close(dirty_loss, clean_loss)
    torch.testing.assert_close(dirty_gradient[:, :7], clean_gradient)
    assert not dirty_gradient[:, 7:].any()
    assert dirty_metrics == pytest.approx(clean_metrics)


@pytest.mark.parametrize("loss", [LOSSES["grpo, sequence average"], LOSSES["gspo"], LOSSES["grpo, k2"]])
def test_gradients_agree_with_finite_differences(loss: Callable[..., PolicyLoss]) -> None:
    inputs = {name: value.double() for name, value in INPUTS.items()}

    def of(logprobs: torch.Tensor) -> torch.Tensor:
        return loss(
            logprobs,
            inputs["old_logprobs"],
            inputs["advantages"],
            inputs["mask"],
            totals=BatchTotals.of(inputs["mask"], 8),
            ref_logprobs_BT=inputs["ref_logprobs"],
            kl_beta=0.1,
            **CLIP,
        ).loss

    assert torch.autograd.gradcheck(of, inputs["logprobs"].clone().requires_grad_())


def test_per_token_advantages_of_one_value_equal_per_sequence_ones() -> None:
    run = partial(
        grpo_loss,
        INPUTS["logprobs"],
        INPUTS["old_logprobs"],
        mask_BT=INPUTS["mask"],
        average=token_mean,
        totals=BatchTotals.of(INPUTS["mask"], 8),
        **CLIP,
    )
    per_token = run(advantages=INPUTS["advantages"][:, None].expand(6, 7))
    assert per_token.loss.item() == run(advantages=INPUTS["advantages"]).loss.item()
    with pytest.raises(ValueError, match="advantages have shape"):
        run(advantages=INPUTS["advantages"][:3])


def test_clip_higher_lets_a_rising_token_go_further() -> None:
    def gradient(eps_high: float) -> float:
        logprobs = torch.tensor([[math.log(1.25)]], requires_grad=True)
        grpo_loss(
            logprobs,
            torch.zeros(1, 1),
            torch.tensor([1.0]),
            torch.ones(1, 1),
            clip_eps_low=0.2,
            clip_eps_high=eps_high,
            average=token_mean,
            totals=BatchTotals(1, 1, 1),
        ).loss.backward()
        assert logprobs.grad is not None
        return logprobs.grad.item()

    assert gradient(0.2) == 0.0
    assert gradient(0.28) == pytest.approx(-1.25)


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


def test_a_kl_weight_without_a_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="no reference logprobs"):
        grpo_loss(
            torch.zeros(1, 1),
            None,
            torch.ones(1),
            torch.ones(1, 1),
            average=token_mean,
            totals=BatchTotals(1, 1, 1),
            kl_beta=0.1,
            **CLIP,
        )


def test_cispo_keeps_the_gradient_of_a_token_beyond_the_bound() -> None:
    logprobs = torch.tensor([[math.log(3.0)]], requires_grad=True)
    result = cispo_loss(
        logprobs,
        torch.zeros(1, 1),
        torch.tensor([2.0]),
        torch.ones(1, 1),
        clip_eps_low=1.0,
        clip_eps_high=0.5,
        average=token_mean,
        totals=BatchTotals(1, 1, 1),
    )
    result.loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.item() == pytest.approx(-1.5 * 2.0)
    assert result.statistics.metrics()["clip_share"] == 1.0


def test_gspo_ratio_is_the_geometric_mean_of_the_tokens() -> None:
    # token ratios 4 and 1: sequence ratio 2, above 1.5, so the whole completion is clipped
    result = gspo_loss(
        torch.tensor([[4.0, 1.0]]).log(),
        torch.zeros(1, 2),
        torch.tensor([1.0]),
        torch.ones(1, 2),
        clip_eps_low=0.5,
        clip_eps_high=0.5,
        totals=BatchTotals(1, 2, 2),
    )
    assert result.loss.item() == pytest.approx(-1.5)
    assert result.statistics.metrics()["ratio_max"] == pytest.approx(2.0)
    assert result.statistics.metrics()["clip_share_high"] == 1.0


def test_reinforce_by_hand_and_where_its_gradient_is_that_of_grpo() -> None:
    logprobs = torch.tensor([[-1.0, -2.0], [-3.0, math.nan]], requires_grad=True)
    mask, advantages = torch.tensor([[1, 1], [1, 0]]), torch.tensor([2.0, -1.0])
    totals = BatchTotals.of(mask, 4)
    result = reinforce_loss(logprobs, None, advantages, mask, average=dr_grpo_mean, totals=totals)
    assert result.loss.item() == pytest.approx(-(2 * -1 + 2 * -2 - 1 * -3) / (2 * 4))
    (gradient,) = torch.autograd.grad(result.loss, logprobs)
    torch.testing.assert_close(gradient, torch.tensor([[-0.25, -0.25], [0.125, 0.0]]))
    first_step = grpo_loss(logprobs, None, advantages, mask, average=dr_grpo_mean, totals=totals, **CLIP)
    torch.testing.assert_close(torch.autograd.grad(first_step.loss, logprobs)[0], gradient)
    assert result.statistics.metrics()["clip_share"] == 0.0


def test_the_kl_of_the_loss_is_the_chosen_estimate_and_what_is_measured_is_k3() -> None:
    ones = torch.ones(1, 1)
    settings: dict[str, Any] = {
        "average": token_mean,
        "totals": BatchTotals(1, 1, 1),
        "ref_logprobs_BT": 0.5 * ones,
        "kl_beta": 1.0,
    }
    result = grpo_loss(0 * ones, None, torch.tensor([0.0]), ones, kl_estimate=k2_kl, **settings, **CLIP)
    assert result.loss.item() == pytest.approx(0.5 * 0.5**2)
    assert result.statistics.metrics()["kl"] == pytest.approx(math.exp(0.5) - 0.5 - 1)


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


def test_importance_weights_are_capped_constant_and_one_outside_the_mask() -> None:
    old = torch.tensor([[0.0, math.log(0.5), math.nan]], requires_grad=True)
    sampler = torch.tensor([[-math.log(8.0), 0.0, 0.0]])
    weights = truncated_importance_weights(old, sampler, torch.tensor([[1, 1, 0]]), cap=2.0)
    torch.testing.assert_close(weights, torch.tensor([[2.0, 0.5, 1.0]]))
    assert not weights.requires_grad
    with pytest.raises(ValueError, match="positive"):
        truncated_importance_weights(old, sampler, torch.ones(1, 3), cap=0.0)


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
