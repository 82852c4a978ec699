"""Which rollouts a step learns from, and with what advantage, by method; numbers worked by hand."""

from __future__ import annotations

import math

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


def learnt(method: str, *rewards: tuple[float | None, ...]) -> tuple[list[float | None], list[float]]:
    """The rewards learnt from, and their advantages."""
    pairs = group_relative([group_of(row) for row in rewards], RLConfig(method=method))
    return [rollout.reward for rollout, _ in pairs], [advantage for _, advantage in pairs]


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
    learnt_from, found = learnt(method, DEAD, LIVE)
    assert learnt_from == list(LIVE)
    assert found == pytest.approx(advantages)
    assert learnt(method, DEAD) == ([], [])


def test_reinforce_plus_plus_compares_with_the_whole_batch_and_learns_from_groups_of_equal_rewards() -> None:
    # seven verdicts: 2, 2, 2, 3, 0, 0, 1; mean 10/7, sum of squares 22, sample variance (22 - 100/7) / 6 = 9/7
    rewards = [2.0, 2.0, 2.0, 3.0, 0.0, 0.0, 1.0]
    learnt_from, advantages = learnt("reinforce_pp", DEAD, LIVE)
    assert learnt_from == rewards
    assert advantages == pytest.approx([(reward - 10 / 7) / math.sqrt(9 / 7) for reward in rewards])
    assert learnt("reinforce_pp", DEAD, DEAD) == ([], [])


def test_the_baseline_form_divides_by_the_deviation_of_all_live_groups() -> None:
    # centred: (1, -1) and (2, -2); sample variance 10/3
    _, advantages = learnt("reinforce_pp_baseline", (2.0, 0.0), (4.0, 0.0))
    assert advantages == pytest.approx([x / math.sqrt(10 / 3) for x in (1, -1, 2, -2)])
