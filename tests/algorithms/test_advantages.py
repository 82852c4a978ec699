"""Advantages: numbers worked by hand, TRL's values, and the properties the formulas promise."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cogitate.algorithms.advantages import (
    dead_groups,
    gae,
    gae_by_doubling,
    gae_by_token,
    group_advantages,
    reinforce_plus_plus_baseline,
    remax,
    rewards_themselves,
    rloo,
    token_rewards,
    whiten,
    with_kl_penalty,
)
from tests.algorithms.trl import TRL

rewards_matrices = st.integers(2, 6).flatmap(
    lambda group: st.lists(st.lists(st.integers(-8, 8), min_size=group, max_size=group), min_size=1, max_size=4)
)


def test_two_right_of_four_get_plus_and_minus_root_three_quarters() -> None:
    # mean 1/2, squares sum to 1, sample variance 1/3, so (1 - 1/2) * sqrt 3
    advantages = group_advantages(torch.tensor([[1.0, 0.0, 0.0, 1.0]]))
    torch.testing.assert_close(advantages, math.sqrt(3) / 2 * torch.tensor([[1.0, -1.0, -1.0, 1.0]]))


def test_one_right_of_three_by_hand() -> None:
    # mean 1/3; deviations 2/3, -1/3, -1/3; sample variance (4 + 1 + 1) / 9 / 2 = 1/3
    advantages = group_advantages(torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64))
    expected = torch.tensor([[2.0, -1.0, -1.0]], dtype=torch.float64) / 3 * math.sqrt(3)
    torch.testing.assert_close(advantages, expected)


def test_dr_grpo_only_subtracts_the_mean() -> None:
    advantages = group_advantages(torch.tensor([[3.0, 0.0, 0.0, 1.0]]), scale_by_std=False)
    assert advantages.tolist() == [[2.0, -1.0, -1.0, 0.0]]


def test_rloo_compares_with_the_mean_of_the_others() -> None:
    # 3 - (0 + 0 + 1)/3, 0 - 4/3, 0 - 4/3, 1 - 1
    torch.testing.assert_close(rloo(torch.tensor([[3.0, 0.0, 0.0, 1.0]])), torch.tensor([[8 / 3, -4 / 3, -4 / 3, 0.0]]))


def test_reinforce_plus_plus_takes_rewards_less_the_kl_that_follows_and_normalises_over_all_tokens() -> None:
    # rewards 2 and 0; KL 1, 2 and 0; beta 1/2: returns 2 - 3/2, 2 - 1, 0; mean 1/2, squares 0, 1/4, 1/4, sample variance 1/4
    rewards = rewards_themselves(torch.tensor([[2.0, 0.0]]))[0]
    mask = torch.tensor([[1, 1], [1, 0]])
    returns = with_kl_penalty(rewards, torch.tensor([[1.0, 2.0], [0.0, 0.0]]), mask, kl_beta=0.5)
    torch.testing.assert_close(returns, torch.tensor([[0.5, 1.0], [0.0, 0.0]]))
    torch.testing.assert_close(whiten(returns, mask), torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))


def test_remax_compares_with_the_greedy_completion() -> None:
    # the second group has no baseline, the third no reward that differs from it
    rewards = torch.tensor([[1.0, 0.5, math.nan], [1.0, 0.0, 0.0], [0.3, 0.3, 0.3]])
    valid = torch.tensor([[True, True, False], [True] * 3, [True] * 3])
    advantages = remax(rewards, torch.tensor([0.25, math.nan, 0.1 + 0.2]), valid_PG=valid)
    torch.testing.assert_close(advantages, torch.tensor([[0.75, 0.25, 0.0], [0.0] * 3, [0.0] * 3]))
    assert remax(torch.tensor([[1.0, 1.0]]), torch.tensor([0.0])).tolist() == [[1.0, 1.0]]  # equal rewards teach, too


def test_reinforce_plus_plus_baseline_leaves_dead_groups_out_of_the_deviation() -> None:
    # centred rows (1, -1), (2, -2), (0, 0); over the four live ones: mean 0, sample variance 10/3
    advantages = reinforce_plus_plus_baseline(torch.tensor([[2.0, 0.0], [4.0, 0.0], [1.0, 1.0]]))
    expected = torch.tensor([[1.0, -1.0], [2.0, -2.0], [0.0, 0.0]]) / math.sqrt(10 / 3)
    torch.testing.assert_close(advantages, expected)


def test_group_advantages_are_those_of_trl_up_to_its_epsilon() -> None:
    reference = TRL["advantages"]
    rewards, valid = torch.tensor(reference["rewards"]), torch.tensor(reference["valid"])
    torch.testing.assert_close(
        group_advantages(rewards, valid_PG=valid), torch.tensor(reference["group"]), rtol=1e-3, atol=1e-5
    )
    torch.testing.assert_close(
        group_advantages(rewards, valid_PG=valid, scale_by_std=False), torch.tensor(reference["none"]), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("advantages_of", [group_advantages, rloo, rewards_themselves, reinforce_plus_plus_baseline])
def test_a_rollout_without_a_verdict_gets_zero_and_moves_nobody(advantages_of: Callable[..., torch.Tensor]) -> None:
    without = advantages_of(torch.tensor([[1.0, 0.0, 0.0], [5.0, 4.0, 1.0]]))
    rewards = torch.tensor([[1.0, math.nan, 0.0, 0.0], [5.0, 4.0, 1.0, -99.0]])
    valid = torch.tensor([[True, False, True, True], [True, True, True, False]])
    advantages = advantages_of(rewards, valid_PG=valid)
    torch.testing.assert_close(advantages[valid], without.flatten())
    assert advantages[~valid].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("verdicts", [0, 1])
@pytest.mark.parametrize("advantages_of", [group_advantages, rloo, reinforce_plus_plus_baseline])
def test_fewer_than_two_verdicts_teach_nothing(advantages_of: Callable[..., torch.Tensor], verdicts: int) -> None:
    rewards = torch.tensor([[7.0, math.nan, math.nan], [1.0, 0.0, 0.5]])
    valid = torch.tensor([[verdicts == 1, False, False], [True, True, True]])
    advantages = advantages_of(rewards, valid_PG=valid)
    assert advantages[0].tolist() == [0.0, 0.0, 0.0]
    assert advantages[1, 0] > 0 > advantages[1, 1]
    assert dead_groups(rewards, valid).tolist() == [True, False]


def test_rewards_that_differ_by_rounding_alone_are_a_dead_group() -> None:
    summed = sum([0.1] * 3)  # 0.30000000000000004
    exact = torch.tensor([[summed, 0.3, 0.3, 0.3]], dtype=torch.float64)
    single = torch.tensor([[1e3 * (0.1 + 0.2), 1e3 * 0.3, 300.0, np.nextafter(np.float32(300), np.float32(400))]])
    for rewards in (exact, single):
        assert rewards.std() > 0, "the floating-point deviation does not see it"
        assert dead_groups(rewards).tolist() == [True]
        for advantages_of in (group_advantages, rloo, rewards_themselves, reinforce_plus_plus_baseline):
            assert not advantages_of(rewards).any()


def test_a_small_true_difference_is_not_a_dead_group() -> None:
    rewards = torch.tensor([[2.0, 2.0, 2.001]])
    assert dead_groups(rewards).tolist() == [False]
    torch.testing.assert_close(group_advantages(rewards), torch.tensor([[-1.0, -1.0, 2.0]]) / math.sqrt(3), rtol=1e-3, atol=0)


@settings(deadline=None, max_examples=60)
@given(rows=rewards_matrices, shift=st.integers(-50, 50), scale=st.integers(1, 50))
def test_scaling_and_shifting_rewards_changes_advantages_as_the_formulas_say(
    rows: list[list[int]], shift: int, scale: int
) -> None:
    rewards = torch.tensor(rows, dtype=torch.float64)
    moved = rewards * scale + shift
    for invariant in (group_advantages, reinforce_plus_plus_baseline):
        torch.testing.assert_close(invariant(moved), invariant(rewards), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(rloo(moved), scale * rloo(rewards), rtol=1e-9, atol=1e-9)
    unscaled, moved_unscaled = (group_advantages(r, scale_by_std=False) for r in (rewards, moved))
    torch.testing.assert_close(moved_unscaled, scale * unscaled, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(rows=rewards_matrices, seed=st.integers(0, 1000))
def test_advantages_of_a_group_sum_to_zero_and_follow_their_rollouts(rows: list[list[int]], seed: int) -> None:
    rewards = torch.tensor(rows, dtype=torch.float64)
    order = torch.randperm(rewards.shape[1], generator=torch.Generator().manual_seed(seed))
    for advantages_of in (group_advantages, rloo):
        advantages = advantages_of(rewards)
        torch.testing.assert_close(advantages.sum(1), torch.zeros(len(rows), dtype=torch.float64), rtol=0, atol=1e-9)
        torch.testing.assert_close(advantages_of(rewards[:, order]), advantages[:, order], rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(rows=rewards_matrices)
def test_live_groups_have_deviation_one(rows: list[list[int]]) -> None:
    rewards = torch.tensor(rows, dtype=torch.float64)
    live = ~dead_groups(rewards)
    assume(bool(live.any()))
    torch.testing.assert_close(group_advantages(rewards)[live].std(1), torch.ones(int(live.sum()), dtype=torch.float64))


def test_results_keep_the_dtype_of_the_rewards() -> None:
    assert group_advantages(torch.tensor([[1, 0]])).dtype == torch.float32
    assert group_advantages(torch.tensor([[1.0, 0.0]], dtype=torch.float64)).dtype == torch.float64


def test_a_group_of_one_and_a_nan_with_a_verdict_are_refused() -> None:
    with pytest.raises(ValueError, match="group_size must be at least 2, got 1"):
        group_advantages(torch.tensor([[1.0]]))
    with pytest.raises(ValueError, match="NaN"):
        group_advantages(torch.tensor([[1.0, math.nan]]))
    with pytest.raises(ValueError, match="shape"):
        rloo(torch.tensor([[1.0, 0.0]]), valid_PG=torch.ones(2, 2))


def test_gae_by_hand() -> None:
    # gamma 1/2, lambda 1/2; values 1, 2, 4; reward 8 at the end.
    # delta = (0 + 1 - 1, 0 + 2 - 2, 8 - 4) = (0, 0, 4); A3 = 4, A2 = 0 + 4/4 = 1, A1 = 1/4
    advantages, returns = gae(
        torch.tensor([[0.0, 0.0, 8.0]]), torch.tensor([[1.0, 2.0, 4.0]]), torch.ones(1, 3), gamma=0.5, lam=0.5
    )
    assert advantages.tolist() == [[0.25, 1.0, 4.0]]
    assert returns.tolist() == [[1.25, 3.0, 8.0]]


def test_gae_is_the_discounted_sum_of_temporal_differences() -> None:
    generator = torch.Generator().manual_seed(3)
    rewards, values = torch.randn(3, 6, generator=generator), torch.randn(3, 6, generator=generator)
    gamma, lam = 0.9, 0.7
    lengths = [6, 3, 1]
    mask = torch.tensor([[1.0] * n + [0.0] * (6 - n) for n in lengths])
    advantages, returns = gae(rewards, values.masked_fill(mask == 0, math.nan), mask, gamma=gamma, lam=lam)
    for row, n in enumerate(lengths):
        v = [*values[row, :n].tolist(), 0.0]
        deltas = [rewards[row, t].item() + gamma * v[t + 1] - v[t] for t in range(n)]
        expected = [sum((gamma * lam) ** (s - t) * deltas[s] for s in range(t, n)) for t in range(n)]
        torch.testing.assert_close(advantages[row, :n], torch.tensor(expected))
        torch.testing.assert_close(returns[row, :n], torch.tensor(expected) + values[row, :n])
        assert not advantages[row, n:].any()
        assert not returns[row, n:].any()


def test_gae_with_lambda_one_is_return_minus_value_whatever_stands_between() -> None:
    rewards, values = torch.tensor([[0.0, 7.0, 0.0, 1.0]]), torch.tensor([[0.3, 9.0, 0.4, 0.5]])
    mask = torch.tensor([[1, 0, 1, 1]])  # a tool's token in the middle
    advantages, returns = gae(rewards, values, mask, gamma=1.0, lam=1.0)
    torch.testing.assert_close(advantages, torch.tensor([[0.7, 0.0, 0.6, 0.5]]))
    torch.testing.assert_close(returns, torch.tensor([[1.0, 0.0, 1.0, 1.0]]))


def test_the_reward_lands_on_the_last_token_and_kl_on_every_one() -> None:
    shaped = token_rewards(
        torch.tensor([1.0, -2.0]),
        torch.tensor([[0.5, 1.0, math.nan], [2.0, 0.0, 4.0]]),
        torch.tensor([[1, 1, 0], [1, 1, 1]]),
        kl_beta=0.1,
    )
    torch.testing.assert_close(shaped, torch.tensor([[-0.05, 0.9, 0.0], [-0.2, 0.0, -2.4]]))
    with pytest.raises(ValueError, match="every row"):
        token_rewards(torch.tensor([1.0]), torch.zeros(1, 2), torch.zeros(1, 2), kl_beta=0.1)


def test_the_kl_of_a_token_lowers_its_advantage_and_those_before_it() -> None:
    kl, mask = torch.tensor([[1.0, 2.0, -0.5], [4.0, 9.0, 9.0]]), torch.tensor([[1, 1, 1], [1, 0, 0]])
    advantages = with_kl_penalty(torch.tensor([1.0, -1.0]), kl, mask, kl_beta=0.1)
    torch.testing.assert_close(advantages, torch.tensor([[0.75, 0.85, 1.05], [-1.4, 0.0, 0.0]]))


def test_whitened_advantages_have_mean_zero_and_deviation_one_inside_the_mask() -> None:
    whitened = whiten(torch.tensor([[1.0, 3.0, 99.0], [5.0, 7.0, -99.0]]), torch.tensor([[1, 1, 0], [1, 1, 0]]))
    # 1 3 5 7: mean 4, sample variance 20/3
    expected = torch.tensor([[-3.0, -1.0, 0.0], [1.0, 3.0, 0.0]]) / math.sqrt(20 / 3)
    torch.testing.assert_close(whitened, expected)


@pytest.mark.parametrize(("tokens", "gamma", "lam"), [(1, 1.0, 0.95), (13, 1.0, 0.95), (64, 0.9, 1.0), (37, 1.0, 0.0)])
def test_gae_by_doubling_is_that_token_by_token(tokens: int, gamma: float, lam: float) -> None:
    generator = torch.Generator().manual_seed(1)
    rewards, values, chance = (torch.randn(5, tokens, generator=generator, dtype=torch.float64) for _ in range(3))
    mask = chance > -0.5
    mask[0] = True
    mask[1] = False
    values = torch.where(mask, values, 0.0)
    one, other = (form(rewards, values, mask, gamma, lam) for form in (gae_by_token, gae_by_doubling))
    assert torch.allclose(one, other, atol=1e-12)
