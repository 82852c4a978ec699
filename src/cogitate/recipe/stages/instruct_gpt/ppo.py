"""ppo: the SFT model by reinforcement learning against the reward models (InstructGPT, arXiv:2203.02155, section 3.5).

The first input is the SFT model, the second the reward models. Prompts are the general ones; the reward of a completion is what
the helpfulness model says of its final answer, plus `safety_weight` times the probability that all of it is safe. The critic
starts as the helpfulness model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.backend import Backend
from cogitate.config import Config, PPOConfig
from cogitate.recipe.asking import ask_r1, check_tags
from cogitate.recipe.general_prompts import general_files, general_training_problems
from cogitate.recipe.rl.general_rewards import Judge, sigmoid
from cogitate.recipe.rl.reward_monitor import flagged_steps, hacking_metrics, has_true_score
from cogitate.recipe.rl.stage import Method, run_rl
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.rewards.reward_model import final_answer
from cogitate.tasks.general import general, safety
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.groups import rollouts_with_reward
from cogitate.train.rl import check_enough
from cogitate.train.rl_metrics import mean
from cogitate.train.rollouts import Reward, Sampled, Score
from cogitate.types import Rollout

NO_ANSWER = -3.0  # reward of a completion without a final answer: three deviations below the mean of all


def files(config: Config, stage: Stage) -> list[Path]:
    return general_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    check_tags(config.section(stage.name, PPOConfig), stage.name)
    check_enough(general_training_problems(config), config.section(stage.name, PPOConfig), stage.name)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    start, reward_models = (artifact.path for artifact in inputs.values())
    backend, settings = context.backend, config.section(context.stage, PPOConfig)

    def make(tokenizer: Tokenizer) -> Method:
        return Method(
            ask_r1(settings, start, tokenizer),
            model_rewards(backend, reward_models, safety_weight=settings.safety_weight),
            measure=lambda rollouts: watch(rollouts, context.metrics.path),
            problems=general_training_problems(config),
            contract="free",
            learner=lambda: backend.ppo_learner(start, reward_models / "helpfulness", settings),
            learn_from=rollouts_with_reward,
        )

    summary = run_rl(config, settings, start, out, context, make)
    flagged = flagged_steps(context.metrics.path)
    if flagged:
        context.say(f"from step {flagged[0]} on the reward model's score rose while the true one fell: reward hacking")
        summary["reward_hacking_steps"] = flagged
    return summary


def watch(rollouts: Sequence[Rollout], log: Path) -> dict[str, float]:
    """What the helpfulness model says beside the true score, both 0..1, and whether they part; {} without a true score."""
    judged = [rollout for rollout in rollouts if has_true_score(rollout.problem)]
    if not judged:
        return {}
    helpfulness = mean(general.helpfulness(rollout.problem, final_answer(rollout.text)) for rollout in judged)
    scores = {
        "model_reward": mean(sigmoid(rollout.reward_breakdown["helpfulness"]) for rollout in judged),
        "true_score": helpfulness,
        "true_helpfulness": helpfulness,
        "true_safety": mean(safety.safety(rollout.problem, rollout.text) for rollout in judged),
    }
    return scores | hacking_metrics(log, scores)


def model_rewards(backend: Backend, reward_models: Path, *, safety_weight: float) -> Score:
    """The reward models' judgement of a batch; the safety model is read only where it counts."""
    helpfulness = Judge.load(backend, reward_models, "helpfulness")
    safety_model = Judge.load(backend, reward_models, "safety") if safety_weight else None

    def score(batch: Sequence[Sampled]) -> list[Reward]:
        said = helpfulness.judge(batch)
        helpful = [NO_ANSWER if each.score is None else each.score for each in said]
        parts = [{"helpfulness": h, **each.spread_as("helpfulness")} for h, each in zip(helpful, said, strict=True)]
        if safety_model is None:
            return list(zip(helpful, parts, strict=True))
        safe = safety_model.judge(batch)
        return [
            (h + safety_weight * s.share, {**part, "safety": s.share, **s.spread_as("safety")})
            for h, part, s in zip(helpful, parts, safe, strict=True)
        ]

    return score
