"""Which completions RL learns from: dead groups, dead steps, missing verdicts, dynamic sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cogitate.config import RLConfig
from cogitate.model.files.hf import load_model
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.groups import FirstGroups
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.types import Problem, Rollout
from tests.train.rl_loop import CONFIG, Loop, digits_wanted, raise_at


def test_steps_without_a_signal_change_nothing_and_stop_the_run_with_the_reason(loop: Callable[..., Loop]) -> None:
    run = loop(problems=digits_wanted("seven"), steps=10)
    summary = run.train()
    reason = "3 steps in a row without any learning signal: in the last one, step 2, no group has rewards that differ"
    assert summary.keys() == {"stopped_early", "mostly_dead"}
    assert summary["stopped_early"] == reason
    assert run.said[0] == "step 0: no group has rewards that differ, so there is nothing to learn from; skipped"
    assert run.said[-2:] == [reason, summary["mostly_dead"]]
    assert run.column("dead_groups") == [1.0] * 3
    assert all("loss" not in row for row in run.rows())
    before = load_model(run.model).state_dict()
    assert all(torch.equal(before[name], tensor) for name, tensor in run.weights().items())


def test_a_live_step_starts_the_count_again(loop: Callable[..., Loop]) -> None:
    def now_and_then(completion: SampledCompletion) -> tuple[float | None, dict[str, float]]:
        return (len(completion.text) * (int(completion.problem.id[-1]) == 0), {})

    problems = [Problem(f"p{i}", "digits", "exact", "Say a number.", gold="7") for i in range(4)]
    run = loop(problems=problems, steps=8, reward=now_and_then, prompts_per_step=2, max_new_tokens=6, temperature=2.0)
    assert "stopped_early" not in run.train()  # each epoch of two steps has one with problem 0
    assert sum(line.endswith("skipped") for line in run.said) == 4


def test_completions_without_a_verdict_are_left_out_of_their_group(loop: Callable[..., Loop]) -> None:
    """The gold of half of the problems cannot be used; the others are learnt from all the same."""
    broken = [Problem(f"b{i}", "broken", "exact", "Say a number.", gold="") for i in range(3)]
    run = loop(problems=[*digits_wanted("7", 3), *broken], steps=3, prompts_per_step=6)
    run.train()
    assert run.column("no_verdict_share") == [0.5] * 3
    assert all(row["no_verdict_reason"].endswith(": the reference answer is empty") for row in run.rows())
    assert all(share >= 0.5 for share in run.column("dead_groups"))
    assert all("accuracy.broken" not in row for row in run.rows())
    trained, generated = run.column("tokens_trained"), run.column("tokens_generated")
    prompt = len(Tokenizer.load(run.model).encode("Say a number. Digit:"))
    assert all(t <= g + 24 * prompt for t, g in zip(trained, generated, strict=True))


def test_single_completions_without_a_verdict_take_no_part(loop: Callable[..., Loop]) -> None:
    seen: dict[str, list[float | None]] = {}

    def half_judged(completion: SampledCompletion) -> tuple[float | None, dict[str, float]]:
        rewards = seen.setdefault(completion.problem.id, [])
        rewards.append(None if len(rewards) % 4 else float(len(rewards)))
        return rewards[-1], {}

    run = loop(steps=1, transcripts_every=1000, reward=half_judged, problems=digits_wanted("7", 4))
    updates: list[tuple[list[Rollout], list[float]]] = []
    original = GRPOLearner.update

    def spy(self: GRPOLearner, rollouts: list[Rollout], advantages: list[float], *others: Any) -> dict[str, float]:
        updates.append((rollouts, advantages))
        return original(self, rollouts, advantages, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GRPOLearner, "update", spy)
        run.train()
    ((rollouts, advantages),) = updates
    assert [rollout.reward for rollout in rollouts] == [0.0, 4.0] * 4  # two of eight in each group
    assert advantages == pytest.approx([-(0.5**0.5), 0.5**0.5] * 4)


def test_when_nothing_can_be_judged_the_reason_says_so(loop: Callable[..., Loop]) -> None:
    run = loop(problems=[Problem(f"b{i}", "broken", "exact", "Say a number.", gold="") for i in range(4)], steps=5)
    summary = run.train()
    assert "no completion could be judged (the reference answer is empty)" in summary["stopped_early"]
    assert run.column("no_verdict_share") == [1.0] * 3


def test_dynamic_sampling_draws_further_prompts_in_place_of_dead_groups(loop: Callable[..., Loop]) -> None:
    hopeless = [Problem(f"h{i}", "hopeless", "exact", "Say a number.", gold="seven") for i in range(9)]
    mixed = [*digits_wanted("7", 9), *hopeless]
    plain, dynamic = (
        loop(name, problems=mixed, steps=3, dynamic_sampling=name == "dynamic", dynamic_sampling_batches=3, group_size=12)
        for name in ("plain", "dynamic")
    )
    plain.train()
    dynamic.train()
    assert sum(dynamic.column("tokens_trained")) > 1.2 * sum(plain.column("tokens_trained"))
    assert sum(dynamic.column("tokens_generated")) > 1.2 * sum(plain.column("tokens_generated"))
    assert max(dynamic.column("tokens_generated")) <= 3 * 4 * 12 * CONFIG.max_new_tokens
    assert all(0 < share < 1 for share in dynamic.column("dead_groups"))  # of all groups that were drawn


def test_a_run_of_dead_groups_says_once_what_to_change(loop: Callable[..., Loop]) -> None:
    run = loop(problems=digits_wanted("seven"), steps=6, dead_steps_limit=9)
    wanted = (
        "12 of the first 12 groups are dead: their 8 rewards are equal, 12 all wrong, 0 all right, so that this run learns "
        "little; give easier problems, worked examples (r1_zero.worked_examples) or more samples (r1_zero.group_size=16)"
    )
    assert run.train() == {"mostly_dead": wanted}
    assert run.said.count(wanted) == 1
    assert run.said[3] == wanted


def test_groups_that_are_all_right_want_harder_problems() -> None:
    config = RLConfig(group_size=4)
    warning = FirstGroups(groups=10, dead=9, all_wrong=2, all_right=7).warning("r1_zero", config)
    assert str(warning).endswith("; give harder problems, or leave out those that the model solves every time")
    assert FirstGroups(groups=10, dead=8, all_wrong=8).warning("r1_zero", config) is None
    assert FirstGroups().warning("r1_zero", config) is None


def test_methods_that_compare_the_whole_batch_know_no_dead_groups(loop: Callable[..., Loop]) -> None:
    run = loop(problems=digits_wanted("seven"), steps=3, method="reinforce_pp")
    assert "mostly_dead" not in run.train()


def test_the_length_reward_joins_at_its_step_and_is_logged(loop: Callable[..., Loop]) -> None:
    settings = {"steps": 3, "length_weight": 0.5, "length_weight_from_step": 1, "prioritised_sampling": True}
    run = loop(**settings)
    run.train()
    assert [row.get("reward.length") is None for row in run.rows()] == [True, False, False]
    for row in run.rows()[1:]:
        assert row["reward"] == pytest.approx(row["reward.accuracy"] + 0.5 * row["reward.length"])
    killed = loop("killed", on_row=raise_at(2), **settings)
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    resumed = loop("killed", **settings)
    resumed.train()
    assert resumed.rows() == run.rows()
