"""Preference losses: numbers worked by hand, TRL's losses and gradients, and micro-batches."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from cogitate.algorithms.preference_loss import (
    PreferenceLoss,
    bradley_terry_loss,
    conservative_dpo_loss,
    dpo_loss,
    ipo_loss,
    safety_loss,
)
from tests.algorithms.trl import TRL


def test_bradley_terry_by_hand() -> None:
    # gaps log 3 and 0: probabilities 3/4 and 1/2
    loss = bradley_terry_loss(torch.tensor([math.log(3), 1.0]), torch.tensor([0.0, 1.0]), total_pairs=2)
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_bradley_terry_gradient_is_the_probability_of_being_wrong() -> None:
    chosen, rejected = torch.tensor([0.0, 2.0], requires_grad=True), torch.tensor([math.log(3), 2.0], requires_grad=True)
    bradley_terry_loss(chosen, rejected, total_pairs=1).backward()
    torch.testing.assert_close(chosen.grad, torch.tensor([-0.75, -0.5]))
    torch.testing.assert_close(rejected.grad, torch.tensor([0.75, 0.5]))


def test_weights_count_every_prompt_once_however_many_pairs_it_has() -> None:
    chosen, rejected = torch.tensor([1.0, 1.0, 1.0, 0.3]), torch.tensor([0.0, 0.0, 0.0, 0.1])
    weighted = bradley_terry_loss(chosen, rejected, weights_B=torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0]), total_pairs=2.0)
    once = bradley_terry_loss(chosen[2:], rejected[2:], total_pairs=2)
    torch.testing.assert_close(weighted, once)


def test_the_reward_model_loss_is_that_of_trl() -> None:
    reference = TRL["reward_model"]
    rewards = torch.tensor(reference["rewards"], requires_grad=True)
    chosen, rejected = rewards.chunk(2)
    loss = bradley_terry_loss(
        chosen,
        rejected,
        margins_B=torch.tensor(reference["margins"]),
        center_weight=reference["center_weight"],
        total_pairs=4,
    )
    loss.backward()
    assert loss.item() == pytest.approx(reference["loss"], rel=1e-6)
    torch.testing.assert_close(rewards.grad, torch.tensor(reference["gradient"]))


def test_safety_loss_by_hand() -> None:
    # probabilities of safe: 3/4 (it is), 3/4 (it is not)
    scores = torch.tensor([math.log(3), math.log(3)])
    loss = safety_loss(scores, torch.tensor([True, False]), total_items=2)
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_dpo_by_hand() -> None:
    # chosen gained log 9, rejected lost nothing; beta 1/2 makes the gap log 3
    result = dpo_loss(
        torch.tensor([math.log(0.9)]),
        torch.tensor([math.log(0.5)]),
        torch.tensor([math.log(0.1)]),
        torch.tensor([math.log(0.5)]),
        beta=0.5,
        total_pairs=1,
    )
    assert result.loss.item() == pytest.approx(math.log(4 / 3))
    assert result.chosen_rewards_B.item() == pytest.approx(math.log(3))
    assert result.rejected_rewards_B.item() == 0.0


@pytest.mark.parametrize(("name", "loss", "per_token"), [("sigmoid", dpo_loss, False), ("ipo", ipo_loss, True)])
def test_dpo_and_ipo_are_those_of_trl(name: str, loss: Callable[..., PreferenceLoss], per_token: bool) -> None:
    reference = TRL["dpo"][name]
    logprobs = torch.tensor(reference["logprobs"], requires_grad=True)
    mask = torch.tensor(reference["mask"])
    counted = mask.sum(1) if per_token else 1
    policy, ref = ((of_tokens * mask).sum(1) / counted for of_tokens in (logprobs, torch.tensor(reference["ref_logprobs"])))
    result = loss(*policy.chunk(2), *ref.chunk(2), beta=reference["beta"], total_pairs=3)
    result.loss.backward()
    assert result.loss.item() == pytest.approx(reference["loss"], rel=1e-6)
    torch.testing.assert_close(logprobs.grad, torch.tensor(reference["gradient"]))
    if name == "sigmoid":
        assert result.chosen_rewards_B.mean().item() == pytest.approx(reference["chosen_reward"], rel=1e-5)
        assert result.rejected_rewards_B.mean().item() == pytest.approx(reference["rejected_reward"], rel=1e-5)


def test_conservative_dpo_without_smoothing_is_dpo() -> None:
    four = torch.tensor([[-1.0, -2.0], [-1.5, -0.5], [-1.2, -1.9], [-1.4, -0.7]])
    plain = dpo_loss(*four, beta=0.3, total_pairs=2)
    smooth = conservative_dpo_loss(*four, beta=0.3, label_smoothing=0.0, total_pairs=2)
    torch.testing.assert_close(smooth.loss, plain.loss)
    with pytest.raises(ValueError, match=r"\[0, 0\.5\)"):
        conservative_dpo_loss(*four, beta=0.3, label_smoothing=0.5, total_pairs=2)


def test_conservative_dpo_is_at_rest_where_the_policy_is_as_sure_as_the_labels() -> None:
    # label smoothing 1/4: sigmoid(gap) = 3/4 at gap log 3
    chosen = torch.tensor([math.log(3)], requires_grad=True)
    zero = torch.zeros(1)
    conservative_dpo_loss(chosen, zero, zero, zero, beta=1.0, label_smoothing=0.25, total_pairs=1).loss.backward()
    torch.testing.assert_close(chosen.grad, torch.zeros(1), rtol=0, atol=1e-7)


def test_ipo_is_at_rest_at_its_margin() -> None:
    chosen = torch.tensor([5.0, 6.0], requires_grad=True)
    zero = torch.zeros(2)
    ipo_loss(chosen, zero, zero, zero, beta=0.1, total_pairs=2).loss.backward()
    torch.testing.assert_close(chosen.grad, torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b, c, d: dpo_loss(a, b, c, d, beta=0.2, total_pairs=4).loss,
        lambda a, b, c, d: conservative_dpo_loss(a, b, c, d, beta=0.2, label_smoothing=0.1, total_pairs=4).loss,
        lambda a, b, c, d: ipo_loss(a, b, c, d, beta=0.2, total_pairs=4).loss,
        lambda a, b, c, d: bradley_terry_loss(a, b, total_pairs=4, center_weight=0.1),
        lambda a, b, c, d: safety_loss(a, b > 0, total_items=4),
    ],
    ids=["dpo", "conservative_dpo", "ipo", "bradley_terry", "safety"],
)
def test_accumulation_over_micro_batches_equals_one_batch(loss: Callable[..., torch.Tensor]) -> None:
    four = torch.randn(4, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    whole = loss(*four)
    for parts in (2, 3, 4):
        torch.testing.assert_close(sum(loss(*four[:, rows]) for rows in torch.arange(4).tensor_split(parts)), whole)


@pytest.mark.parametrize("loss", [partial(dpo_loss, beta=0.2), partial(ipo_loss, beta=0.2)], ids=["dpo", "ipo"])
def test_gradients_agree_with_finite_differences(loss: Callable[..., PreferenceLoss]) -> None:
    chosen, rejected = torch.randn(2, 3, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    reference = torch.zeros(3, dtype=torch.float64)

    def of(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
        return loss(chosen, rejected, reference, reference, total_pairs=3).loss

    assert torch.autograd.gradcheck(of, (chosen.requires_grad_(), rejected.requires_grad_()))


def test_a_batch_without_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to average"):
        bradley_terry_loss(torch.zeros(0), torch.zeros(0), total_pairs=0)
