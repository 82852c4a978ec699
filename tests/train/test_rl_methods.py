"""What single methods change in the loop: greedy baselines, and completions that are too long."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from cogitate.config import RLConfig
from cogitate.rewards.parts.completion import SampledCompletion
from tests.train.rl_loop import Loop, check_a_kill_changes_nothing, digits_wanted


def test_remax_generates_a_greedy_completion_of_each_prompt_and_counts_its_tokens(loop: Callable[..., Loop]) -> None:
    run = loop(steps=2, method="remax")
    run.train()
    for row in run.rows():
        sampled = row["completion_tokens"] * 4 * 8
        assert sampled + 4 <= row["tokens_generated"] <= sampled + 4 * 4
        assert 0.0 <= row["greedy_reward"] <= 1.0


def test_overlong_completions_are_punished_and_leave_the_loss(loop: Callable[..., Loop]) -> None:
    run = loop(steps=1, mask_truncated=True, overlong_share=0.5, max_new_tokens=4, transcripts_every=100)
    run.train()
    (row,) = run.rows()
    assert row["reward"] == pytest.approx(row["reward.accuracy"] + row["reward.overlong"], abs=1e-6)
    assert -1.0 <= row["reward.overlong"] < 0.0


def test_a_step_in_which_all_that_could_teach_was_cut_off_says_so(loop: Callable[..., Loop]) -> None:
    turns = itertools.count()

    def in_turn(completion: SampledCompletion) -> tuple[float | None, dict[str, float]]:
        return float(next(turns) % 2), {}

    run = loop(steps=5, mask_truncated=True, max_new_tokens=1, reward=in_turn)  # an end token would be the second one
    assert "all completions of groups whose rewards differ were cut off" in run.train()["stopped_early"]


@pytest.mark.parametrize("method", ["grpo", "remax"])
def test_a_token_budget_ends_the_run_in_the_batch_that_reaches_it(loop: Callable[..., Loop], method: str) -> None:
    run = loop(steps=50, method=method, token_budget=200)
    run.train()
    generated = run.column("tokens_generated")
    assert sum(generated[:-1]) < 200 <= sum(generated)
    assert run.column("budget_spent") == pytest.approx([sum(generated[: n + 1]) / 200 for n in range(len(generated))])


@pytest.mark.parametrize("method", ["remax", "clip_cov"])
def test_killed_and_resumed_a_run_under_a_budget_ends_as_an_undisturbed_one(loop: Callable[..., Loop], method: str) -> None:
    settings = {
        "method": method, "reset_optimiser": method == "clip_cov", "token_budget": 90, "steps": 50, "minibatches": 2,
        "prompts_per_step": 2, "group_size": 4, "transcripts_every": 100, "checkpoint_every": 1,
    }  # fmt: skip
    check_a_kill_changes_nothing(1, loop("calm", **settings), loop("killed", **settings))


def test_the_draws_of_dynamic_sampling_end_with_the_budget(loop: Callable[..., Loop]) -> None:
    settings = {"dynamic_sampling": True, "dynamic_sampling_batches": 9, "token_budget": 70, "dead_steps_limit": 9}
    run = loop(steps=50, problems=digits_wanted("seven"), **settings)
    run.train()
    (generated,) = run.column("tokens_generated")
    assert 70 <= generated < 70 + 4 * 8 * 4


def test_with_a_token_budget_the_warm_up_is_over_tokens(loop: Callable[..., Loop]) -> None:
    run = loop(steps=50, token_budget=300, warmup_tokens=200, learning_rate=1e-3)
    run.train()
    total = 0.0
    for row in run.rows():
        total += row["tokens_generated"]
        if "learning_rate" in row:
            assert row["learning_rate"] == pytest.approx(1e-3 * min(1.0, total / 200))


def test_a_warm_up_is_over_tokens_where_a_token_budget_is_set_and_over_steps_elsewhere() -> None:
    with pytest.raises(ValidationError, match="a token budget goes with warmup_tokens"):
        RLConfig(token_budget=100, warmup_steps=3)
    with pytest.raises(ValidationError, match="has no effect without token_budget"):
        RLConfig(warmup_tokens=3)
    assert not {"token_budget", "warmup_tokens"} & RLConfig().identity().keys()


def test_dapo_is_all_of_its_paper() -> None:
    config = RLConfig(method="dapo")
    assert (config.clip_eps_low, config.clip_eps_high, config.loss_average) == (0.2, 0.28, "token")
    assert (config.dynamic_sampling, config.mask_truncated, config.overlong_share, config.kl_beta) == (True, True, 0.2, 0.0)
