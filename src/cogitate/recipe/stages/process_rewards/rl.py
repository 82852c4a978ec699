"""process_rl: RL in which a process reward model judges the steps of every completion, beside the rules.

reward = accuracy (unless use_verdict is false) + format + language_weight * language + process_weight * the solution's score,
0..1: what the process model says of its steps, made one number as that model was made for (minimum, product, mean or last). R1
tried such rewards and reports that a model of steps is hacked and adds cost (arXiv:2501.12948, unsuccessful attempts). The
true score is the share of steps that a checker finds right (evals/steps/correctness.py); it is measured and never a reward, and
recipe/rl/reward_monitor.py watches the two part. The first input is the model to train, the second the process reward model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.config import Config, ProcessRLConfig
from cogitate.evals.steps.correctness import has_true_steps, true_steps
from cogitate.recipe.asking import ask_r1
from cogitate.recipe.problems import data_files
from cogitate.recipe.rl.reward_monitor import flagged_steps, hacking_metrics
from cogitate.recipe.rl.stage import Method, check_training_problems, rule_reward, run_rl
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.search.scoring import Reading, SolutionScorer
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.steps import StepReader
from cogitate.train.rl_metrics import mean
from cogitate.train.rollouts import Reward, Sampled, Score, by_rules
from cogitate.types import Rollout

PROCESS = "process"  # the part of the reward


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    check_training_problems(config, stage)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    start, process_model = (artifact.path for artifact in inputs.values())
    settings = config.section(context.stage, ProcessRLConfig)
    scorer = SolutionScorer(context.backend, process_model)

    def make(tokenizer: Tokenizer) -> Method:
        rewards = config.rewards if settings.use_verdict else config.rewards.model_copy(update={"accuracy": 0.0})
        rules = by_rules(rule_reward(config.model_copy(update={"rewards": rewards}), "r1", language=settings.language_weight))
        reader = StepReader(tokenizer, scorer.steps or "sentences")
        score = ProcessReward(rules, scorer, reader, settings.process_weight)
        return Method(
            ask_r1(settings, start, tokenizer), score,
            measure=lambda rollouts: watch(rollouts, reader, context.metrics.path),
        )  # fmt: skip

    summary = run_rl(config, settings, start, out, context, make)
    flagged = flagged_steps(context.metrics.path)
    if flagged:
        context.say(f"from step {flagged[0]} on the process model's score rose while fewer steps were right: reward hacking")
        summary["reward_hacking_steps"] = flagged
    return summary


@dataclass(frozen=True, slots=True)
class ProcessReward:
    """The rules' reward with the process model's score of the solution."""

    rules: Score
    scorer: SolutionScorer
    reader: StepReader
    weight: float

    def __call__(self, batch: Sequence[Sampled]) -> list[Reward]:
        read = [each.completion.token_ids for each in batch]
        readings = [
            Reading(each.prompt_ids, ids, self.reader.ends(ids) if self.scorer.steps else (len(ids),))
            for each, ids in zip(batch, read, strict=True)
        ]
        scores = [self.scorer.solution_score(steps) for steps in self.scorer.step_scores(readings)]
        return [added(ruled, self.weight, score) for ruled, score in zip(self.rules(batch), scores, strict=True)]


def added(ruled: Reward, weight: float, score: float) -> Reward:
    """A reward with one more part; none where there is no verdict."""
    reward, parts = ruled
    return ruled if reward is None else (reward + weight * score, {**parts, PROCESS: score})


def watch(rollouts: Sequence[Rollout], reader: StepReader, log: Path) -> dict[str, float]:
    """The process model's mean score beside the share of steps that are right, both 0..1, and whether they part; {} where no
    problem has steps that a checker knows."""
    known = [one for one in rollouts if has_true_steps(one.problem) and PROCESS in one.reward_breakdown]
    if not known:
        return {}
    scores = {
        "model_reward": mean(one.reward_breakdown[PROCESS] for one in known),
        "true_score": mean(mean(steps_of(one, reader)) for one in known),
    }
    return scores | hacking_metrics(log, scores)


def steps_of(rollout: Rollout, reader: StepReader) -> list[bool]:
    """Whether each step of a rollout is right, as a checker finds it."""
    pieces = reader.pieces(rollout.completion_ids, reader.ends(rollout.completion_ids))
    opened = rollout.text.removesuffix("".join(pieces))
    return true_steps([opened + pieces[0], *pieces[1:]], rollout.problem, right=rollout.verdict.value == "right")
