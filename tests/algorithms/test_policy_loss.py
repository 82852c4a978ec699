"""Policy losses: numbers worked by hand, and TRL's losses and gradients."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from cogitate.algorithms.averages import BatchTotals, dr_grpo_mean, sequence_mean, token_mean
from cogitate.algorithms.loss_parts import PolicyLoss
from cogitate.algorithms.policy_loss import cispo_loss, grpo_loss, gspo_loss, reinforce_loss
from tests.algorithms.trl import CLIP, INPUTS, SETTINGS, TRL


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
        ("gspo", partial(gspo_loss, average=sequence_mean)),
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
        average=sequence_mean,
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
