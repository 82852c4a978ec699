"""What a step learns from its groups of rollouts: which of them, and with what advantage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cogitate.algorithms.advantages import dead_groups, group_advantages
from cogitate.config import RLConfig
from cogitate.types import Rollout, RolloutGroup

LearnFrom = Callable[[Sequence[RolloutGroup], RLConfig], list[tuple[Rollout, float]]]


def live_first(groups: Sequence[RolloutGroup]) -> list[RolloutGroup]:
    """Groups that teach something before those that do not, otherwise as they were drawn."""
    return sorted(groups, key=is_alive, reverse=True)


def rollouts_with_reward(groups: Sequence[RolloutGroup], config: RLConfig) -> list[tuple[Rollout, float]]:
    """All rollouts that have a reward, each with it: for PPO, whose critic finds the advantages."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    return [(rollout, rollout.reward) for rollout in rollouts if rollout.reward is not None]


def group_relative(groups: Sequence[RolloutGroup], config: RLConfig) -> list[tuple[Rollout, float]]:
    """The rollouts to learn from, each with GRPO's advantage: those of live groups that have a verdict."""
    pairs = []
    for group in filter(is_alive, groups):
        rewards_1G, valid_1G = reward_row(group)
        advantages_1G = group_advantages(rewards_1G, scale_by_std=config.scale_by_std, valid_PG=valid_1G)
        judged = zip(group.rollouts, advantages_1G[0].tolist(), strict=True)
        pairs += [(rollout, advantage) for rollout, advantage in judged if rollout.reward is not None]
    return pairs


def reward_row(group: RolloutGroup) -> tuple[Tensor, Tensor]:
    """A group's rewards (1, G) and which of them are there (1, G)."""
    rewards = [rollout.reward for rollout in group.rollouts]
    valid_1G = torch.tensor([[reward is not None for reward in rewards]])
    return torch.tensor([[reward or 0.0 for reward in rewards]], dtype=torch.float64), valid_1G


def is_alive(group: RolloutGroup) -> bool:
    """Whether the group has two verdicts and its rewards differ."""
    rewards_1G, valid_1G = reward_row(group)
    return not bool(dead_groups(rewards_1G, valid_1G)[0])
