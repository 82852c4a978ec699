"""Which rollouts a step learns from, and with what advantage, by method; numbers worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from cogitate.config import RLConfig
from cogitate.train.groups import group_relative
from cogitate.types import Problem, Rollout, RolloutGroup, Verdict

PROBLEM = Problem("p", "t", "math", "?")
LIVE, DEAD = (3.0, 0.0, 0.0, 1.0), (2.0, 2.0, None, 2.0)


def group_of(rewards: tuple[float | None, ...]) -> RolloutGroup:
    rollouts = [
        Rollout(
            problem=PROBLEM, prompt_ids=(1,), completion_ids=(2,), loss_mask=(1,), logprobs=(0.0,), weight_versions=((0, 1),),
            finish_reason="stop", seed=0, text="", reward=reward, reward_breakdown={}, verdict=Verdict("right", 1.0, ""),
        )
        for reward in rewards
    ]  # fmt: skip
    return RolloutGroup(PROBLEM, tuple(rollouts))


def learnt(method: str, *rewards: tuple[float | None, ...]) -> list[tuple[Any, Any]]:
    pairs = group_relative([group_of(row) for row in rewards], RLConfig(method=method))
    return [(rollout.reward, advantage) for rollout, advantage in pairs]


@pytest.mark.parametrize(
    ("method", "advantages"),
    [
        ("grpo", [2 / math.sqrt(2), -1 / math.sqrt(2), -1 / math.sqrt(2), 0.0]),  # mean 1, sample variance (4 + 1 + 1) / 3
        ("dr_grpo", [2.0, -1.0, -1.0, 0.0]),
        ("rloo", [8 / 3, -4 / 3, -4 / 3, 0.0]),
        ("reinforce_pp_baseline", [2 / math.sqrt(2), -1 / math.sqrt(2), -1 / math.sqrt(2), 0.0]),
    ],
)
def test_methods_with_a_group_baseline_leave_dead_groups_out(method: str, advantages: list[float]) -> None:
    assert learnt(method, DEAD, LIVE) == [(r, pytest.approx(a)) for r, a in zip(LIVE, advantages, strict=True)]
    assert learnt(method, DEAD) == []


def test_reinforce_plus_plus_gives_the_rewards_to_the_learner_which_compares_with_the_whole_batch() -> None:
    assert learnt("reinforce_pp", DEAD, LIVE) == [(reward, reward) for reward in (2.0, 2.0, 2.0, *LIVE)]
    assert learnt("reinforce_pp", DEAD, DEAD) == []


def test_remax_leaves_groups_out_that_do_not_differ_from_their_greedy_completion() -> None:
    def with_greedy(rewards: tuple[float | None, ...], greedy: float | None) -> RolloutGroup:
        return replace(group_of(rewards), greedy=group_of((greedy,)).rollouts[0])

    groups = [with_greedy(DEAD, 1.5), with_greedy(DEAD, 2.0), with_greedy(LIVE, None), with_greedy(LIVE, 1.0)]
    pairs = [(rollout.reward, advantage) for rollout, advantage in group_relative(groups, RLConfig(method="remax"))]
    assert pairs == [(2.0, 0.5)] * 3 + [(3.0, 2.0), (0.0, -1.0), (0.0, -1.0), (1.0, 0.0)]
    assert groups[0].tokens == 5


def test_a_completion_that_was_cut_off_counts_in_its_group_and_is_not_learnt_from() -> None:
    group = group_of(LIVE)
    cut = replace(group, rollouts=(replace(group.rollouts[0], finish_reason="length"), *group.rollouts[1:]))
    settings = {"method": "dr_grpo", "mask_truncated": True}
    assert [a for _, a in group_relative([cut], RLConfig.model_validate(settings))] == [-1.0, -1.0, 0.0]


def test_the_baseline_form_divides_by_the_deviation_of_all_live_groups() -> None:
    # centred: (1, -1) and (2, -2); sample variance 10/3
    pairs = learnt("reinforce_pp_baseline", (2.0, 0.0), (4.0, 0.0))
    assert [advantage for _, advantage in pairs] == pytest.approx([x / math.sqrt(10 / 3) for x in (1, -1, 2, -2)])
