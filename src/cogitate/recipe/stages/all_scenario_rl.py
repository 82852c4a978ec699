"""r1: reinforcement learning over all scenarios (R1, section 2.3.4).

Reasoning prompts are judged by rules, general ones by two reward models (recipe/rl/general_rewards.py); the language reward is
for all. General prompts, and with them the reward models, take part only from `general_from_step` on: longer use invites
reward hacking, which recipe/rl/reward_monitor.py watches for. The first input is the model to train, the second the reward
models.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import AllScenarioConfig, Config
from cogitate.errors import ConfigError, DataError
from cogitate.recipe.asking import ask_r1
from cogitate.recipe.general_prompts import general_files, general_training_problems
from cogitate.recipe.problems import data_files
from cogitate.recipe.rl.general_rewards import GeneralReward, Judge, by_kind
from cogitate.recipe.rl.reward_monitor import flagged_steps, hacking_metrics, score_metrics
from cogitate.recipe.rl.stage import Method, check_training_problems, rule_reward, run_rl
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.pools import Pool
from cogitate.train.rollouts import by_rules
from cogitate.types import Rollout


def files(config: Config, stage: Stage) -> list[Path]:
    return [*data_files(config), *general_files(config)]


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data and settings that would have no effect before any time is spent."""
    settings, name = config.section(stage.name, AllScenarioConfig), stage.name
    check_training_problems(config, stage)
    wanted = settings.general_prompts_per_step
    if wanted > settings.prompts_per_step:
        raise ConfigError(f"{name}.general_prompts_per_step = {wanted}: a step has {settings.prompts_per_step} prompts in all")
    if wanted and settings.general_from_step >= settings.steps:
        raise ConfigError(
            f"{name}.general_from_step = {settings.general_from_step}, but there are {settings.steps} steps: no general "
            f"prompt would ever be asked; lower it, or set {name}.general_prompts_per_step=0"
        )
    if wanted and len(general := general_training_problems(config)) < wanted:
        raise DataError(
            f"{name}: {len(general)} general prompts, but a step needs {wanted}: give more or lower "
            f"{name}.general_prompts_per_step"
        )


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    start, reward_models = (artifact.path for artifact in inputs.values())
    settings, backend = config.section(context.stage, AllScenarioConfig), context.backend

    def make(tokenizer: Tokenizer) -> Method:
        reasoning = by_rules(rule_reward(config, "r1", language=settings.language_weight))
        general = GeneralReward(
            Judge.load(backend, reward_models, "helpfulness"), Judge.load(backend, reward_models, "safety"), settings,
            config.rewards,
        )  # fmt: skip
        pool = Pool(general_training_problems(config), settings.general_from_step, settings.general_prompts_per_step)
        return Method(ask_r1(settings, start, tokenizer), by_kind(reasoning, general), pool, watch)

    def watch(rollouts: Sequence[Rollout]) -> dict[str, float]:
        scores = score_metrics(rollouts, helpfulness_weight=settings.helpfulness_weight, safety_weight=settings.safety_weight)
        return scores | hacking_metrics(context.metrics.path, scores)

    summary = run_rl(config, settings, start, out, context, make)
    flagged = flagged_steps(context.metrics.path)
    if flagged:
        context.say(f"from step {flagged[0]} on the reward models' score rose while the true one fell: reward hacking")
        summary["reward_hacking_steps"] = flagged
    return summary
