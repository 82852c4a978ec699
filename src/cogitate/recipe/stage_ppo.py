"""ppo: the SFT model by reinforcement learning against the reward models (InstructGPT, arXiv:2203.02155, section 3.5).

The first input is the SFT model, the second the reward models. Prompts are the general ones; the reward of a completion is what
the helpfulness model says of its final answer, plus `safety_weight` times the probability that all of it is safe. The critic
starts as the helpfulness model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.backend import Scorer
from cogitate.config import Config
from cogitate.recipe.asking import ASKED_R1
from cogitate.recipe.context import StageContext
from cogitate.recipe.general_prompts import general_files, general_training_problems
from cogitate.recipe.general_rewards import sigmoid
from cogitate.recipe.reward_monitor import flagged_steps, hacking_metrics, has_true_score
from cogitate.recipe.rl_stage import PROBES, one_of_each_task, thinking_metrics, transcript
from cogitate.rewards.reward_model import READINGS, final_answer, judged_ids
from cogitate.tasks import general, safety
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.rl import Reward, RLRun, Score, check_enough, every_judged, train_rl
from cogitate.train.rl_metrics import mean
from cogitate.train.rollouts import Sampled
from cogitate.types import Artifact, Rollout

VERSION = 1
SECTIONS = (
    "seed", "tasks.general", "tasks.train_problems", "{stage}", "runtime.dtype", "runtime.max_batch", "runtime.lora_rank",
    "runtime.lora_alpha",
)  # fmt: skip

NO_ANSWER = -3.0  # reward of a completion without a final answer: three deviations below the mean of all


def files(config: Config) -> list[Path]:
    return general_files(config)


def check(config: Config, stage: str) -> None:
    """Refuse bad data before any time is spent."""
    check_enough(general_training_problems(config), getattr(config, stage), stage)


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    start, reward_models = (artifact.path for artifact in inputs.values())
    backend, settings = context.backend, getattr(config, context.stage)
    tokenizer = backend.tokenizer(start)
    problems = general_training_problems(config)
    learner = backend.ppo_learner(start, reward_models / "helpfulness", settings)
    summary = train_rl(
        RLRun(
            name=context.stage,
            seed=config.seed,
            config=settings,
            problems=problems,
            probes=one_of_each_task(problems, PROBES),
            prompt_of=ASKED_R1[settings.prompt](start, tokenizer),
            contract="free",
            score=model_rewards(backend, reward_models, safety_weight=settings.safety_weight),
            measure=lambda rollouts: thinking_metrics(rollouts, tokenizer) | watch(rollouts, context.metrics.path),
            describe=lambda step, rollout: transcript(step, rollout, tokenizer),
            tokenizer=tokenizer,
            learner=learner,
            generator=backend.generator(start),
            grader=backend.grader(),
            metrics=context.metrics,
            checkpoint=context.checkpoint,
            weights=context.checkpoint / "policy",
            transcripts=out / "transcripts.jsonl",
            begin=context.begin,
            say=context.say,
            learn_from=every_judged,
        )
    )
    learner.save_weights(out)
    tokenizer.save(out)
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


def model_rewards(backend: Any, reward_models: Path, *, safety_weight: float) -> Score:
    """The reward models' judgement of a batch; the safety model is read only where it counts."""
    helpfulness = backend.reward_model(reward_models / "helpfulness")
    safety_model = backend.reward_model(reward_models / "safety") if safety_weight else None
    tokenizer = backend.tokenizer(reward_models / "helpfulness")

    def score(batch: Sequence[Sampled]) -> list[Reward]:
        helpful = judged("helpfulness", helpfulness, tokenizer, batch)
        safe = [0.0] * len(batch)
        if safety_model is not None:
            safe = [sigmoid(value) for value in judged("safety", safety_model, tokenizer, batch)]
        return [
            (h + safety_weight * s, {"helpfulness": h, **({"safety": s} if safety_model is not None else {})})
            for h, s in zip(helpful, safe, strict=True)
        ]

    return score


def judged(name: str, scorer: Scorer, tokenizer: Tokenizer, batch: Sequence[Sampled]) -> list[float]:
    """What the model called `name` says of each completion; NO_ANSWER where there is nothing to read."""
    read = [READINGS[name](sampled.text) for sampled in batch]
    shown = [index for index, text in enumerate(read) if text]
    scores = [NO_ANSWER] * len(batch)
    if shown:
        pairs = [judged_ids(tokenizer, batch[index].problem.question, read[index]) for index in shown]
        rewards = scorer.rewards([prompt for prompt, _ in pairs], [completion for _, completion in pairs])
        for index, reward in zip(shown, rewards, strict=True):
            scores[index] = reward
    return scores
