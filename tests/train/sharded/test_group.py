"""Two ranks beside one process: the same losses, gradients and weights; files that any number of ranks reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate.config import PretrainConfig
from cogitate.model.files.hf import load_model
from cogitate.model.lora import add_lora
from cogitate.train.checkpoint import latest_checkpoint, load_checkpoint
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.sharded.ranks import ALONE, Ranks
from tests.train.sharded.models import FAMILIES, Numbers, assert_equal, gradients_of, make_model, weights_of
from tests.train.sharded.together import Together
from tests.train.test_supervised import rows

CONFIG = PretrainConfig(micro_rows=2, mtp_weight=0.3, router_bias_step=0.01, gradient_clip=1.5)
ROUNDING = 1e-6
Step = tuple[dict[str, float], Numbers]


def learner_of(ranks: Ranks, family: str, **changes: Any) -> SupervisedLearner:
    """`dtype`, `lora_rank` and `gradient_checkpointing` are of the model, all else of the settings."""
    model = make_model(family, dtype=changes.pop("dtype", torch.float32))
    if rank := changes.pop("lora_rank", 0):
        add_lora(model, rank=rank, alpha=16.0)
    model.gradient_checkpointing = changes.pop("gradient_checkpointing", False)
    return SupervisedLearner(model, CONFIG.model_copy(update=changes), ranks)


def first_gradients(ranks: Ranks, family: str) -> Step:
    learner = learner_of(ranks, family, gradient_clip=1e6)
    learner.optimiser.step = lambda: None  # type: ignore[method-assign, assignment]
    return learner.update(rows(1), 1e-3), gradients_of(learner.model)


def trained(ranks: Ranks, family: str, steps: int = 3, changes: dict[str, Any] | None = None) -> list[Step]:
    learner = learner_of(ranks, family, **(changes or {}))
    return [(learner.update(rows(step), 1e-3), weights_of(learner.model)) for step in range(steps)]


def assert_near(one: dict[str, float], other: dict[str, float], relative: float = ROUNDING) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert other[name] == pytest.approx(value, rel=relative), name


@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_gradients_of_two_ranks_are_those_of_one_process(two_ranks: Together, family: str) -> None:
    metrics, gradients = first_gradients(ALONE, family)
    for of_rank, gradients_there in two_ranks.run(first_gradients, family):
        assert_near(metrics, of_rank)
        assert_equal(gradients, gradients_there, ROUNDING)


def test_steps_of_two_ranks_move_weights_and_router_biases_as_one_process_does(two_ranks: Together) -> None:
    alone = trained(ALONE, "deepseek_v3")
    assert any(metrics["gradient_norm"] > CONFIG.gradient_clip for metrics, _ in alone)
    biases = {name: bias for name, bias in alone[-1][1].items() if name.endswith("e_score_correction_bias")}
    assert any(bias.any() for bias in biases.values())
    first, second = two_ranks.run(trained, "deepseek_v3")
    for (metrics, weights), (of_first, weights_there), (of_second, _) in zip(alone, first, second, strict=True):
        assert of_first == of_second
        assert_near(metrics, of_first)
        assert_equal(weights, weights_there, 1e-5)
        assert all((weights_there[name] == weights[name]).all() for name in biases)
