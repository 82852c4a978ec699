"""What single methods change in the loop: greedy baselines, and completions that are too long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cogitate.config import RLConfig
from tests.train.rl_loop import Loop


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
    run = loop(steps=5, mask_truncated=True, max_new_tokens=1)  # no completion can end: its end token would be the second
    assert "all completions of groups whose rewards differ were cut off" in run.train()["stopped_early"]


def test_dapo_is_all_of_its_paper() -> None:
    config = RLConfig(method="dapo")
    assert (config.clip_eps_low, config.clip_eps_high, config.loss_average) == (0.2, 0.28, "token")
    assert (config.dynamic_sampling, config.mask_truncated, config.overlong_share, config.kl_beta) == (True, True, 0.2, 0.0)
