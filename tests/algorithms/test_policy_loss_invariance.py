"""Policy losses do not depend on the cut into micro-batches or on padding, and their gradients are those of their values."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch

from cogitate.algorithms.averages import AVERAGES, BatchTotals, dr_grpo_mean, sequence_mean, token_mean
from cogitate.algorithms.kl import k2_kl
from cogitate.algorithms.loss_parts import PolicyLoss
from cogitate.algorithms.policy_loss import cispo_loss, grpo_loss, gspo_loss, reinforce_loss
from cogitate.algorithms.squared_loss import dro_loss, mirror_descent_loss
from tests.algorithms.trl import CLIP, INPUTS


def without_bounds(loss: Callable[..., PolicyLoss]) -> Callable[..., PolicyLoss]:
    return lambda *inputs, clip_eps_low, clip_eps_high, **settings: loss(*inputs, **settings)


LOSSES: dict[str, Callable[..., PolicyLoss]] = {
    **{f"grpo, {name} average": partial(grpo_loss, average=average) for name, average in AVERAGES.items()},
    **{f"cispo, {name} average": partial(cispo_loss, average=average) for name, average in AVERAGES.items()},
    "gspo": partial(gspo_loss, average=sequence_mean),
    "reinforce": without_bounds(partial(reinforce_loss, average=token_mean)),
    "dro": without_bounds(partial(dro_loss, average=token_mean, log_ratio_penalty=0.3)),
    "mirror descent": without_bounds(partial(mirror_descent_loss, average=dr_grpo_mean, log_ratio_penalty=0.3)),
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


@pytest.mark.parametrize(
    "loss", [LOSSES[name] for name in ("grpo, sequence average", "gspo", "grpo, k2", "dro", "mirror descent")]
)
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
