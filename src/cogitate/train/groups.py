"""What a step learns from its groups of rollouts: which of them, and with what advantage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cogitate.algorithms.advantages import ADVANTAGES, dead_groups
from cogitate.config import RLConfig
from cogitate.config.methods import METHODS
from cogitate.types import Rollout, RolloutGroup

OF_THE_BATCH = ("reward",)  # advantages that compare a rollout with all groups, so that none is dead
WITH_GREEDY = ("remax",)  # advantages that compare a rollout with the greedy one of its prompt

FIRST_STEPS, MOSTLY_DEAD = 3, 0.8  # when a run is judged, and the share of dead groups from which it hardly learns

LearnFrom = Callable[[Sequence[RolloutGroup], RLConfig], list[tuple[Rollout, float]]]


def live_first(groups: Sequence[RolloutGroup]) -> list[RolloutGroup]:
    """Groups that teach something before those that do not, otherwise as they were drawn."""
    return sorted(groups, key=is_alive, reverse=True)


def rollouts_with_reward(groups: Sequence[RolloutGroup], config: RLConfig) -> list[tuple[Rollout, float]]:
    """All rollouts that have a reward, each with it: for PPO, whose critic finds the advantages."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    return [(rollout, rollout.reward) for rollout in rollouts if rollout.reward is not None]


def group_relative(groups: Sequence[RolloutGroup], config: RLConfig) -> list[tuple[Rollout, float]]:
    """The rollouts to learn from, each with the advantage of the method that the settings name.

    Rollouts without a verdict are left out, and with `mask_truncated` those that were cut off, though they count in their
    group. So are dead groups, except where the method compares with the whole batch (REINFORCE++): there a group of equal
    rewards differs from the others, and nothing is left only if all rewards are equal. Compared with the greedy rollout
    (ReMax), groups are left out that have no baseline or no reward that differs from it.
    """
    method = METHODS[config.method]
    scaling = {} if "scale_by_std" in method.ignores else {"scale_by_std": config.scale_by_std}
    rewards_PG, valid_PG = reward_rows(groups)
    greedy = [greedy_rewards(groups)] if needs_greedy(config) else []
    advantages_PG = ADVANTAGES[method.advantages](rewards_PG, *greedy, valid_PG=valid_PG, **scaling)
    if method.advantages in OF_THE_BATCH:
        learnable_PG = valid_PG & bool(advantages_PG.any())
    elif greedy:
        learnable_PG = valid_PG & advantages_PG.any(1)[:, None]
    else:
        learnable_PG = valid_PG & ~dead_groups(rewards_PG, valid_PG)[:, None]
    return [
        (rollout, advantage)
        for group, row, learnable in zip(groups, advantages_PG.tolist(), learnable_PG.tolist(), strict=True)
        for rollout, advantage, learn in zip(group.rollouts, row, learnable, strict=False)
        if learn and not (config.mask_truncated and rollout.finish_reason == "length")
    ]


def needs_greedy(config: RLConfig) -> bool:
    """Whether each prompt is also answered greedily."""
    return config.method in METHODS and METHODS[config.method].advantages in WITH_GREEDY


def greedy_rewards(groups: Sequence[RolloutGroup]) -> Tensor:
    """The rewards (P,) of the greedy rollouts, NaN where there is none."""
    found = [group.greedy.reward if group.greedy else None for group in groups]
    return torch.tensor([math.nan if reward is None else reward for reward in found], dtype=torch.float64)


def is_relative(learn_from: LearnFrom, config: RLConfig) -> bool:
    """Whether a group of equal rewards teaches nothing: where rewards are compared within groups alone."""
    return learn_from is group_relative and METHODS[config.method].advantages not in (*OF_THE_BATCH, *WITH_GREEDY)


def reward_rows(groups: Sequence[RolloutGroup]) -> tuple[Tensor, Tensor]:
    """The groups' rewards (P, G) and which of them are there (P, G); a smaller group is filled up with none."""
    size = max(len(group.rollouts) for group in groups)
    rewards = [[rollout.reward for rollout in group.rollouts] for group in groups]
    rows = [row + [None] * (size - len(row)) for row in rewards]
    valid_PG = torch.tensor([[reward is not None for reward in row] for row in rows])
    return torch.tensor([[reward or 0.0 for reward in row] for row in rows], dtype=torch.float64), valid_PG


def is_alive(group: RolloutGroup) -> bool:
    """Whether the group has two verdicts and its rewards differ."""
    return not bool(dead_groups(*reward_rows([group]))[0])


@dataclass(slots=True)
class FirstGroups:
    """The groups of a run's first steps; it is in every checkpoint.

    Attributes:
        dead: without rewards that differ. Of these all_wrong and all_right have one verdict.
    """

    groups: int = 0
    dead: int = 0
    all_wrong: int = 0
    all_right: int = 0

    def count(self, groups: Sequence[RolloutGroup]) -> None:
        """Count the groups of a step."""
        dead = [{rollout.verdict.value for rollout in group.rollouts} for group in groups if not is_alive(group)]
        self.groups += len(groups)
        self.dead += len(dead)
        self.all_wrong += dead.count({"wrong"})
        self.all_right += dead.count({"right"})

    def warning(self, name: str, config: RLConfig) -> str | None:
        """What to change where nearly all groups are dead, one line; None where enough are alive."""
        if self.dead <= MOSTLY_DEAD * self.groups:
            return None
        found = (
            f"{self.dead} of the first {self.groups} groups are dead: their {config.group_size} rewards are equal, "
            f"{self.all_wrong} all wrong, {self.all_right} all right, so that this run learns little"
        )
        if self.all_right > self.all_wrong:
            return f"{found}; give harder problems, or leave out those that the model solves every time"
        more = f"more samples ({name}.group_size={2 * config.group_size})"
        return f"{found}; give easier problems, worked examples ({name}.worked_examples) or {more}"
