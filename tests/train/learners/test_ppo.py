"""PPO's learner: rewards by token, the critic, and that a run of the loop raises the reward, bit for bit over a kill."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate.config import PPOConfig
from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_model
from cogitate.model.value_head import ValueModel
from cogitate.rewards.workers.pool import GraderPool
from cogitate.runtime import MetricsLog
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.collecting import RLRun
from cogitate.train.groups import rollouts_with_reward
from cogitate.train.learners.ppo import PPOLearner, explained
from cogitate.train.learners.scorer import ModelScorer
from cogitate.train.rl import train_rl
from cogitate.train.rollouts import Reward, Sampled
from cogitate.types import Problem, Rollout, RolloutGroup, Verdict

CONFIG = PPOConfig(
    steps=6, prompts_per_step=4, group_size=8, max_new_tokens=4, learning_rate=5e-3, critic_learning_rate=5e-3, minibatches=2,
    kl_beta=0.01, checkpoint_every=2, transcripts_every=100, gae_lambda=0.9,
)  # fmt: skip
PROBLEMS = [Problem(f"p{i}", "digits", "general", "Say a number.") for i in range(6)]


@pytest.fixture(scope="module")
def grader() -> Iterator[GraderPool]:
    with GraderPool(workers=1, seconds_limit=20.0) as pool:
        yield pool


def rollout(prompt: Sequence[int], completion: Sequence[int], reward: float | None) -> Rollout:
    return Rollout(
        PROBLEMS[0], tuple(prompt), tuple(completion), (-1.0,) * len(completion), (1,) * len(completion),
        ((0, len(completion)),), "stop", 0, "", reward, {}, Verdict("none", 0.0, ""),
    )  # fmt: skip


def learner_of(model: Path, config: PPOConfig = CONFIG) -> PPOLearner:
    return PPOLearner(load_model(model), ValueModel(load_model(model)), config)


def test_every_judged_rollout_is_learnt_from_with_its_reward_dead_groups_too() -> None:
    equal = [rollout((1,), (2,), 0.5), rollout((1,), (3,), 0.5), rollout((1,), (4,), None)]
    assert rollouts_with_reward([RolloutGroup(PROBLEMS[0], tuple(equal))], CONFIG) == [(equal[0], 0.5), (equal[1], 0.5)]


def test_at_the_start_values_are_0_and_advantages_decay_from_the_end(digit_model: Path) -> None:
    """A critic that says 0 everywhere and a policy that is the SFT model: A_t = (gamma lambda)^(T - t) R, returns the same."""
    learner = learner_of(digit_model)
    rollouts = [rollout((5, 6), (7, 8, 9), 2.0), rollout((5, 6), (7, 8), -1.0)]
    (batch,) = learner.micro_batches(rollouts, [2.0, -1.0], single=False)
    order = list(batch.rows.indices)
    wanted = torch.tensor([[0.81 * 2, 0.9 * 2, 2.0], [-0.9, -1.0, 0.0]])[order]
    assert torch.allclose(batch.advantages_SL, wanted, atol=1e-6)
    assert torch.allclose(batch.returns_SL, wanted, atol=1e-6)
    assert torch.allclose(batch.kl_SL, torch.zeros(2, 3), atol=1e-6)
    assert explained([batch])["explained_variance"] == pytest.approx(0.0)


def test_the_kl_to_the_sft_model_is_taken_from_the_reward_of_every_token(digit_model: Path) -> None:
    learner = learner_of(digit_model, CONFIG.model_copy(update={"kl_beta": 0.5, "gae_lambda": 1.0}))
    with torch.no_grad():
        learner.model.embed_tokens.weight.mul_(1.1)
    tokens = ([5, 6], [7, 8, 9])
    ours, sft = (ModelScorer(model).logprobs([tokens[0]], [tokens[1]])[0] for model in (learner.model, load_model(digit_model)))
    kl = [a - b for a, b in zip(ours, sft, strict=True)]
    (batch,) = learner.micro_batches([rollout(*tokens, 2.0)], [2.0], single=False)
    assert batch.kl_SL[0].tolist() == pytest.approx(kl, abs=1e-4)
    wanted = [2.0 - 0.5 * sum(kl[place:]) for place in range(3)]  # lambda 1: all that is still to come, V = 0
    assert batch.returns_SL[0].tolist() == pytest.approx(wanted, abs=1e-4)


def test_the_critic_reads_the_same_places_as_the_scorer(digit_model: Path) -> None:
    learner = learner_of(digit_model)
    with torch.no_grad():
        learner.critic.score.weight.normal_(generator=torch.Generator().manual_seed(0))
    rollouts = [rollout((5, 6), (7, 8, 9), 1.0), rollout((5, 6), (9, 4), 1.0), rollout((8,), (3, 4, 4, 4), 1.0)]
    batches = learner.micro_batches(rollouts, [1.0] * 3, single=False)
    scorer = ModelScorer(ValueModel(load_model(digit_model)))
    scorer.model.load_state_dict(learner.critic.state_dict())
    values = scorer.values([r.prompt_ids for r in rollouts], [r.completion_ids for r in rollouts])
    for batch in batches:
        for row, index in enumerate(batch.rows.indices):
            assert batch.old_values_SL[row, : len(values[index])].tolist() == pytest.approx(values[index], abs=1e-4)


def test_the_critic_learns_what_a_prompt_is_worth(digit_model: Path) -> None:
    config = CONFIG.model_copy(update={"learning_rate": 1e-9, "value_clip_eps": 100.0, "kl_beta": 0.0, "gae_lambda": 1.0})
    learner = learner_of(digit_model, config)
    rollouts = [rollout((5,), (7, 8), 3.0), rollout((6,), (7, 8), -1.0)] * 4
    rows = [learner.update(rollouts, [r.reward or 0.0 for r in rollouts]) for _ in range(40)]
    assert rows[0]["explained_variance"] == pytest.approx(0.0, abs=1e-6)
    assert rows[0]["value_loss"] == pytest.approx(0.5 * (9 + 1) / 2, rel=0.3)
    assert rows[-1]["explained_variance"] > 0.95
    assert rows[-1]["return"] == pytest.approx(1.0)


def seven_is_wanted(batch: Sequence[Sampled]) -> list[Reward]:
    return [(float("7" in sampled.text), {}) for sampled in batch]


class Loop:
    """A run of the loop with PPO in a directory of its own."""

    def __init__(self, folder: Path, model: Path, grader: GraderPool, config: PPOConfig = CONFIG):
        self.folder, self.model, self.grader, self.config = folder, model, grader, config

    def train(self, on_row: Callable[[dict[str, Any]], None] | None = None) -> list[dict[str, Any]]:
        (self.folder / "checkpoint").mkdir(parents=True, exist_ok=True)
        tokenizer = Tokenizer.load(self.model)
        self.learner = learner_of(self.model, self.config)
        train_rl(
            RLRun(
                name="ppo", seed=3, config=self.config, problems=PROBLEMS, probes=[],
                prompt_of=lambda problem: f"{problem.question} Digit:", contract="bare", score=seven_is_wanted,
                measure=lambda rollouts: {}, describe=lambda step, rollout: {"step": step}, tokenizer=tokenizer,
                learner=self.learner, generator=Engine(load_model(self.model), end_id=tokenizer.end_id, max_batch=16),
                grader=self.grader, metrics=MetricsLog(self.folder / "metrics.jsonl", on_row),
                checkpoint=self.folder / "checkpoint", weights=self.folder / "checkpoint" / "policy",
                transcripts=self.folder / "transcripts.jsonl", begin=lambda steps, first: None, say=lambda line: None,
                learn_from=rollouts_with_reward,
            )
        )  # fmt: skip
        rows = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in row.items() if "second" not in key} for row in rows]


def test_ppo_raises_the_reward(digit_model: Path, grader: GraderPool, tmp_path: Path) -> None:
    rows = Loop(tmp_path, digit_model, grader, CONFIG.model_copy(update={"steps": 16})).train()
    assert rows[0]["reward"] < 0.35  # any digit at first
    assert min(row["reward"] for row in rows[-3:]) > 0.7
    assert rows[0]["kl"] == pytest.approx(0.0, abs=1e-4)
    assert rows[-1]["kl"] > 0.1  # it has left the SFT model
    assert max(row["logprob_gap_max"] for row in rows) < 1e-2
    assert all(math.isfinite(row["value_loss"]) and 0 <= row["value_clip_share"] <= 1 for row in rows)


@pytest.mark.parametrize("killed_at", [0, 3])
def test_a_killed_run_goes_on_to_the_same_bits(digit_model: Path, grader: GraderPool, tmp_path: Path, killed_at: int) -> None:
    def kill(row: dict[str, Any]) -> None:
        if row["step"] == killed_at:
            raise KeyboardInterrupt

    whole = Loop(tmp_path / "whole", digit_model, grader)
    rows = whole.train()
    killed = Loop(tmp_path / "killed", digit_model, grader)
    with pytest.raises(KeyboardInterrupt):
        killed.train(kill)
    resumed = Loop(tmp_path / "killed", digit_model, grader)
    assert resumed.train() == rows
    for name, tensor in whole.learner.tensors().items():
        assert torch.equal(tensor, resumed.learner.tensors()[name]), name
