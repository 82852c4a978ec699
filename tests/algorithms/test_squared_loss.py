"""DRO and online mirror descent, worked by hand; and which losses coincide on the first step of a batch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from cogitate.algorithms.averages import BatchTotals, dr_grpo_mean, token_mean
from cogitate.algorithms.covariance_loss import clip_cov_loss, kl_cov_loss
from cogitate.algorithms.loss_parts import PolicyLoss
from cogitate.algorithms.policy_loss import cispo_loss, grpo_loss, reinforce_loss
from cogitate.algorithms.squared_loss import dro_loss, mirror_descent_loss
from tests.algorithms.trl import CLIP, INPUTS

LOGPROBS, OLD = torch.tensor([[-1.0, -2.0], [-3.0, 0.0]]), torch.tensor([[-1.5, -1.0], [-3.0, 9.0]])
MASK, ADVANTAGES = torch.tensor([[1, 1], [1, 0]]), torch.tensor([2.0, -1.0])


def loss_and_gradient(loss: Callable[..., PolicyLoss], **settings: Any) -> tuple[float, torch.Tensor]:
    logprobs = LOGPROBS.clone().requires_grad_()
    result = loss(logprobs, OLD, ADVANTAGES, MASK, totals=BatchTotals.of(MASK, 4), **settings)
    result.loss.backward()
    assert logprobs.grad is not None
    return result.loss.item(), logprobs.grad


def test_dro_squares_the_log_ratio_of_each_token() -> None:
    # log ratios 0.5, -1 and 0; A log pi: -2, -4, 3; penalty 4 / 2 (0.25 + 1)
    value, gradient = loss_and_gradient(dro_loss, log_ratio_penalty=4.0, average=token_mean)
    assert value == pytest.approx(-(-2 - 4 + 3 - 2 * (0.25 + 1.0)) / 3)
    torch.testing.assert_close(gradient, -torch.tensor([[2.0 - 4 * 0.5, 2.0 + 4 * 1.0], [-1.0, 0.0]]) / 3)


def test_mirror_descent_squares_the_log_ratio_of_the_whole_completion() -> None:
    # log ratios of completions: 0.5 - 1 = -0.5 and 0; the sum over completions is divided by 2 * 4
    value, gradient = loss_and_gradient(mirror_descent_loss, log_ratio_penalty=4.0, average=dr_grpo_mean)
    assert value == pytest.approx(-(-2 - 4 + 3 - 2 * 0.25) / 8)
    # the paper's equation 3: A - tau times the log ratio, for each token of the completion
    torch.testing.assert_close(gradient, -torch.tensor([[2.0 + 4 * 0.5, 2.0 + 4 * 0.5], [-1.0, 0.0]]) / 8)


NONE_CHOSEN = torch.zeros(6, 7, dtype=torch.bool)


@pytest.mark.parametrize(
    "loss",
    [
        reinforce_loss,
        partial(cispo_loss, **CLIP),
        partial(clip_cov_loss, chosen_BT=NONE_CHOSEN, **CLIP),
        partial(kl_cov_loss, chosen_BT=~NONE_CHOSEN, covariance_kl=1.0),
        partial(dro_loss, log_ratio_penalty=0.5),
        partial(mirror_descent_loss, log_ratio_penalty=0.5),
    ],
    ids=["reinforce", "cispo", "clip_cov", "kl_cov", "dro", "mirror_descent"],
)
def test_on_the_first_step_of_a_batch_the_gradient_is_that_of_grpo(loss: Callable[..., PolicyLoss]) -> None:
    def gradient(of: Callable[..., PolicyLoss]) -> torch.Tensor:
        logprobs, mask = INPUTS["logprobs"].clone().requires_grad_(), INPUTS["mask"]
        totals = BatchTotals.of(mask, 8)
        result = of(logprobs, INPUTS["logprobs"], INPUTS["advantages"], mask, average=token_mean, totals=totals)
        result.loss.backward()
        assert logprobs.grad is not None
        return logprobs.grad

    torch.testing.assert_close(gradient(loss), gradient(partial(grpo_loss, **CLIP)))
