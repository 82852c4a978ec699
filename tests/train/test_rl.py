"""GRPO end to end: what it learns, logs and asks, and the runs it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from cogitate.config import RLConfig
from cogitate.config.methods import METHODS
from cogitate.errors import DataError, TrainingDivergedError
from cogitate.kernels import native_library
from cogitate.model.files.hf import load_model
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.train.rollouts import Sampled, by_rules
from cogitate.types import Problem
from tests.train.rl_loop import Loop, accuracy, digits_wanted, equal_weights


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(loop: Callable[..., Loop], method: str) -> None:
    run = loop(transcripts_every=100)
    run.config = RLConfig(
        method=method, steps=2, prompts_per_step=2, group_size=8, max_new_tokens=4, learning_rate=5e-3, kl_beta=0.01,
        dynamic_sampling_batches=1, minibatches=2,
    )  # fmt: skip
    run.train()
    before = load_model(run.model).state_dict()
    assert any(not torch.equal(tensor, before[name]) for name, tensor in run.weights().items())
    learnt_from = [row for row in run.rows() if "loss" in row]  # a step may have nothing to learn
    assert all(math.isfinite(row["loss"]) for row in learnt_from)
    assert learnt_from[-1]["kl"] > 0.0


def test_it_learns_to_say_the_digit_that_is_rewarded(loop: Callable[..., Loop]) -> None:
    run = loop(steps=18)
    assert run.train() == {}
    rewards = run.column("reward")
    assert rewards[0] < 0.35  # any digit at first
    assert min(rewards[-3:]) > 0.8
    assert run.column("accuracy") == rewards
    assert run.column("accuracy.digits") == rewards
    learnt_from = [row for row in run.rows() if "loss" in row]  # in the end a step may have nothing to learn
    assert learnt_from[-1]["entropy"] < learnt_from[0]["entropy"]
    assert learnt_from[0]["kl"] == pytest.approx(0.0, abs=1e-5)
    assert learnt_from[-1]["kl"] > 0.01
    assert len(run.said) == 18 - len(learnt_from)


def test_sampler_and_learner_agree_at_every_step(loop: Callable[..., Loop]) -> None:
    run = loop(steps=4, temperature=0.7)
    run.train()
    assert max(run.column("logprob_gap_max")) < 1e-3
    assert run.column("ratio_mean") == [1.0] * 4
    assert run.column("clip_share") == [0.0] * 4


def test_drafts_leave_a_run_as_it_is_and_say_what_a_step_gave(loop: Callable[..., Loop]) -> None:
    """With the kernels, which compute the same to the bit."""
    if native_library() is None:
        pytest.skip("no compiler for the kernels")
    plain, drafted = (
        loop(name, steps=2, generation={"ngram_drafts": drafts}) for name, drafts in (("plain", 0), ("drafted", 3))
    )
    for run in (plain, drafted):
        run.train()
    rows = drafted.rows()
    assert all(row.pop("tokens_per_step") >= 1 for row in rows)
    assert rows == plain.rows()
    equal_weights(drafted, plain)


def test_generation_in_8_bits_learns_and_its_mismatch_is_logged(loop: Callable[..., Loop]) -> None:
    if native_library() is None:
        pytest.skip("no compiler for the kernels")
    run = loop(steps=14, generation={"weight_bits": 8})
    run.train()
    gaps = [row["logprob_gap"] for row in run.rows() if "loss" in row]
    assert min(gaps) > 1e-5  # in float32 the two differ by less where weights are the same
    assert max(gaps) < 0.1
    rewards = run.column("reward")
    assert sum(rewards[-3:]) > sum(rewards[:3]) + 0.5


def test_every_step_is_logged_with_all_that_is_promised(loop: Callable[..., Loop]) -> None:
    run = loop(steps=2)
    run.train()
    promised = {
        "step", "reward", "reward.accuracy", "reward.format", "accuracy", "completion_tokens", "truncated_share",
        "no_verdict_share", "dead_groups", "loss", "entropy", "kl", "clip_share", "logprob_gap", "gradient_norm",
        "learning_rate", "tokens_generated", "tokens_trained",
    }  # fmt: skip
    assert all(promised <= row.keys() for row in run.rows())
    written = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    for row in written:
        phases = [row[f"seconds.{name}"] for name in ("generate", "grade", "train", "sync")]
        assert 0 < sum(phases) <= row["seconds"]
        assert row["tokens_per_second.generate"] == pytest.approx(row["tokens_generated"] / row["seconds.generate"])
        assert row["tokens_generated"] == pytest.approx(32 * row["completion_tokens"])


def test_easy_problems_come_first_and_then_all(loop: Callable[..., Loop]) -> None:
    asked: list[list[int]] = [[]]

    def note(batch: Sequence[Sampled]) -> list[Any]:
        asked[-1] += [int(sampled.problem.id) for sampled in batch]
        return by_rules(accuracy)(batch)

    easy_to_hard = [Problem(str(i), "digits", "exact", f"Say a number{' 1' * i}.", gold="7") for i in range(12)]
    run = loop(
        steps=9, transcripts_every=100, score=note, problems=easy_to_hard[::-1], prompt="Say a number. Digit:",
        prompts_per_step=4, easy_first_steps=4, on_row=lambda row: asked.append([]), group_size=2, dead_steps_limit=99,
    )  # fmt: skip
    run.train()
    asked[0] = asked[0][:8]  # the probes of the first step are asked last
    assert [max(step) for step in asked[:4]] <= [3, 5, 7, 9]
    assert max(asked[0]) == 3  # the easiest third, all of which one step asks
    assert max(max(step) for step in asked[4:9]) == 11


def test_problems_come_round_evenly(loop: Callable[..., Loop]) -> None:
    asked: list[str] = []

    def note(completion: SampledCompletion) -> tuple[float | None, dict[str, float]]:
        asked.append(completion.problem.id)
        return accuracy(completion)

    loop(steps=3, transcripts_every=100, reward=note).train()
    assert len(asked) == 3 * 32 + 2 * 4  # and two completions of two probes at the first and the last step
    groups = (asked[:32] + asked[36:100])[::8]
    assert sorted(groups[:6]) == sorted(groups[6:]) == [f"7-{i}" for i in range(6)]


def test_transcripts_ask_the_same_probes_at_chosen_steps_and_at_the_last(loop: Callable[..., Loop]) -> None:
    run = loop(steps=6, transcripts_every=4)
    run.train()
    rows = run.transcripts()
    assert [row["step"] for row in rows] == [0] * 4 + [4] * 4 + [5] * 4


def test_fewer_problems_than_a_step_needs_is_refused(loop: Callable[..., Loop]) -> None:
    with pytest.raises(DataError, match=r"r1_zero: 3 training problems, but a step needs 4: give more problems or lower"):
        loop(problems=digits_wanted("7", 3)).train()


def test_a_prompt_longer_than_the_context_is_refused_by_its_place(loop: Callable[..., Loop]) -> None:
    long = Problem("long", "mine", "exact", "word " * 130, gold="7", fields={"_place": "mine.jsonl, line 4"})
    run = loop(problems=[*digits_wanted("7", 3), long])  # the first step asks them all
    with pytest.raises(DataError, match=r"mine\.jsonl, line 4: a prompt of \d+ tokens"):
        run.train()
    assert not (run.folder / "metrics.jsonl").exists()


def test_a_loss_that_is_not_a_number_names_the_step_and_the_last_checkpoint(loop: Callable[..., Loop]) -> None:
    run = loop()

    def break_the_model(row: dict[str, Any]) -> None:
        if row["step"] == 2:
            with torch.no_grad():
                run.learner.model.norm.weight[0] = float("nan")

    run.on_row = break_the_model
    pattern = r"step 3 of r1_zero: the loss is nan and its gradient norm nan; the last good checkpoint is .*step-000002; lower"
    with pytest.raises(TrainingDivergedError, match=pattern):
        run.train()
