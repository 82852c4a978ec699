"""Every learner with two ranks beside one process: the same metrics, gradients and weights, idle ranks among them."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch

from cogitate.config import DPOConfig, PPOConfig, PreferenceTrainingConfig, RLConfig
from cogitate.model.value_head import ValueModel
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.learners.ppo import PPOLearner
from cogitate.train.learners.preference import (
    DPOLearner,
    HelpfulnessLearner,
    PreferenceLearner,
    ProcessLearner,
    SafetyLearner,
)
from cogitate.train.sharded.ranks import ALONE, Ranks
from cogitate.types import LabelledSteps, LabelledText, Rollout
from tests.train.learners.test_policy import make_rollouts
from tests.train.sharded.models import Numbers, assert_equal, make_model, weights_of
from tests.train.sharded.together import Together
from tests.train.test_preference import drawn_pairs, drawn_text

pytestmark = pytest.mark.cluster

RL: dict[str, Any] = {"temperature": 0.8, "learning_rate": 1e-3, "max_new_tokens": 12, "gradient_clip": 0.5}
METHODS_OF_RL: dict[str, dict[str, Any]] = {
    "with a reference in the loss": {"kl_beta": 0.05, "minibatches": 2, "inner_epochs": 2, "reference_refresh_steps": 3},
    "with a reference in the reward": {"method": "reinforce_pp", "kl_beta": 0.05},
    "with tokens chosen by covariance": {"method": "kl_cov", "inner_epochs": 2},
}
PREFERENCES = PreferenceTrainingConfig(micro_tokens=40, gradient_clip=0.1)
Step = tuple[dict[str, float], Numbers]


def update_twice(learner: Any, *batches: tuple[Any, Any]) -> list[Step]:
    return [(learner.update(*batch), weights_of(learner.model)) for batch in batches]


def grpo(ranks: Ranks, settings: dict[str, Any], batches: list[tuple[list[Rollout], list[float]]]) -> list[Step]:
    learner = GRPOLearner(make_model("deepseek_v3"), RLConfig.model_validate(RL | settings), ranks)
    learner.pass_tokens = 40  # several passes each
    return update_twice(learner, *batches)


def ppo(ranks: Ranks, batches: list[tuple[list[Rollout], list[float]]]) -> list[Step]:
    settings = PPOConfig.model_validate(RL | {"minibatches": 2, "scale_by_std": True})
    learner = PPOLearner(make_model("qwen2"), value_model(), settings, ranks)
    learner.pass_tokens = 40
    steps = update_twice(learner, *batches)
    return [*steps, ({}, weights_of(learner.critic))]


def preference(ranks: Ranks, kind: str, items: list[Any]) -> list[Step]:
    learner: PreferenceLearner[Any, Any]
    if kind == "dpo":
        learner = DPOLearner(make_model("llama"), make_model("llama", seed=1), DPOConfig(micro_tokens=40), ranks)
    else:
        kinds: dict[str, type[PreferenceLearner[Any, Any]]] = {
            "pairs": HelpfulnessLearner,
            "labels": SafetyLearner,
            "steps": ProcessLearner,
        }
        learner = kinds[kind](value_model(), PREFERENCES, ranks)
    return update_twice(learner, (items, 1e-3), (items[:1], 1e-3))


def value_model() -> ValueModel:
    model = ValueModel(make_model("llama"))
    torch.nn.init.normal_(model.score.weight, std=0.1)
    return model


def items_of(kind: str) -> list[Any]:
    rng = random.Random(0)
    if kind in ("pairs", "dpo"):
        return list(drawn_pairs(7))
    texts = [drawn_text(rng) for _ in range(7)]
    if kind == "labels":
        return [LabelledText(text, index % 2 == 0) for index, text in enumerate(texts)]
    return [LabelledSteps(text, (2, len(text.completion_ids)), (1.0, rng.random())) for text in texts]


def rollouts_of_two_steps() -> list[tuple[list[Rollout], list[float]]]:
    """The second has one prompt: only one of two ranks has something to do."""
    model = make_model("qwen2").eval()
    rollouts, advantages = make_rollouts(model, count=9, noise=0.05)
    return [(rollouts, advantages), (rollouts[::3], advantages[::3])]


def assert_same_steps(alone: list[Step], together: list[list[Step]]) -> None:
    first, second = together
    for (metrics, weights), (there, weights_there), (of_second, _) in zip(alone, first, second, strict=True):
        assert there == of_second
        assert there.keys() == metrics.keys()
        for name, value in metrics.items():
            assert math.isclose(there[name], value, rel_tol=1e-5, abs_tol=1e-6), (name, value, there[name])
        assert_equal(weights, weights_there, 1e-4)  # AdamW's first steps go by the sign of gradients, however small these are


@pytest.mark.parametrize("settings", METHODS_OF_RL.values(), ids=METHODS_OF_RL)
def test_policies_learn_from_rollouts_as_one_process_does(two_ranks: Together, settings: dict[str, Any]) -> None:
    batches = rollouts_of_two_steps()
    assert_same_steps(grpo(ALONE, settings, batches), two_ranks.run(grpo, settings, batches))


def test_policy_and_critic_learn_as_one_process_does(two_ranks: Together) -> None:
    batches = rollouts_of_two_steps()
    assert_same_steps(ppo(ALONE, batches), two_ranks.run(ppo, batches))


@pytest.mark.parametrize("kind", ["pairs", "labels", "steps", "dpo"])
def test_preferences_are_learnt_as_by_one_process(two_ranks: Together, kind: str) -> None:
    """The second step has one item for two ranks."""
    items = items_of(kind)
    assert_same_steps(preference(ALONE, kind, items), two_ranks.run(preference, kind, items))
