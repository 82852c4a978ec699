"""GRPO on a model of 20,000 parameters, with the real engine, grader workers and learner, as one run that tests can change."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate.config import RLConfig
from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_model
from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.reward import total_reward
from cogitate.rewards.workers.pool import GraderPool
from cogitate.runtime import MetricsLog
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.collecting import RLRun
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.pools import Pool
from cogitate.train.rl import train_rl
from cogitate.train.rollouts import Reward, Score, by_rules
from cogitate.types import Problem

CONFIG = RLConfig(
    steps=6, prompts_per_step=4, group_size=8, max_new_tokens=4, learning_rate=5e-3, checkpoint_every=2, transcripts_every=2,
    dead_steps_limit=3, kl_beta=0.01,
)  # fmt: skip


def digits_wanted(gold: str, count: int = 6) -> list[Problem]:
    return [Problem(f"{gold}-{i}", "digits", "exact", "Say a number.", gold=gold) for i in range(count)]


def accuracy(completion: SampledCompletion) -> tuple[float | None, dict[str, float]]:
    return total_reward(completion, weights={"accuracy": 1.0}, format="r1_zero")


@dataclass
class Loop:
    """One run of the loop in a directory of its own."""

    folder: Path
    model: Path
    grader: GraderPool
    problems: Sequence[Problem] = field(default_factory=lambda: digits_wanted("7"))
    config: RLConfig = CONFIG
    reward: Callable[[SampledCompletion], Reward] = accuracy
    score: Score | None = None
    general: Pool | None = None
    on_row: Callable[[dict[str, Any]], None] | None = None
    prompt: str = "{question} Digit:"
    generation: dict[str, Any] = field(default_factory=dict)  # what the engine is made with
    said: list[str] = field(default_factory=list)
    began: list[tuple[int, int]] = field(default_factory=list)

    def train(self) -> dict[str, Any]:
        (self.folder / "checkpoint").mkdir(parents=True, exist_ok=True)
        tokenizer = Tokenizer.load(self.model)
        self.learner = GRPOLearner(load_model(self.model), self.config)
        return train_rl(
            RLRun(
                name="r1_zero",
                seed=3,
                config=self.config,
                problems=self.problems,
                probes=self.problems[:2],
                prompt_of=lambda problem: self.prompt.format(question=problem.question),
                contract="bare",
                score=self.score or by_rules(self.reward),
                general=self.general,
                measure=lambda rollouts: {"texts": len({rollout.text for rollout in rollouts})},
                describe=lambda step, rollout: {"step": step, "text": rollout.text, "reward": rollout.reward},
                tokenizer=tokenizer,
                learner=self.learner,
                generator=Engine(load_model(self.model), end_id=tokenizer.end_id, max_batch=16, **self.generation),
                grader=self.grader,
                metrics=MetricsLog(self.folder / "metrics.jsonl", self.on_row),
                checkpoint=self.folder / "checkpoint",
                weights=self.folder / "checkpoint" / "policy",
                transcripts=self.folder / "transcripts.jsonl",
                begin=lambda steps, first: self.began.append((steps, first)),
                say=self.said.append,
            )
        )

    def rows(self) -> list[dict[str, Any]]:
        """The log without times."""
        written = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in row.items() if "second" not in key} for row in written]

    def column(self, name: str) -> list[float]:
        return [row[name] for row in self.rows()]

    def weights(self) -> dict[str, torch.Tensor]:
        return self.learner.model.state_dict()

    def transcripts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "transcripts.jsonl").read_text().splitlines()]


def equal_weights(first: Loop, second: Loop) -> None:
    theirs = second.weights()
    for name, tensor in first.weights().items():
        assert torch.equal(tensor, theirs[name]), name


def raise_at(step: int) -> Callable[[dict[str, Any]], None]:
    def on_row(row: dict[str, Any]) -> None:
        if row["step"] == step:
            raise KeyboardInterrupt  # as a kill right after the row was written: nothing else is saved

    return on_row


def check_a_kill_changes_nothing(step: int, calm: Loop, killed: Loop) -> None:
    """A run that is killed after this step and resumed ends as an undisturbed one of the same settings."""
    calm.train()
    killed.on_row = raise_at(step)
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    killed.on_row = None
    killed.train()
    assert killed.rows() == calm.rows()
    equal_weights(calm, killed)
