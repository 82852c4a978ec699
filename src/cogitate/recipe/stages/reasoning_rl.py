"""r1_dev2: GRPO on a fine-tuned model, with a reward for thinking in the question's language (R1, section 2.3.2).

reward = accuracy + format + language_weight * share of the thinking's words that are of the question's language; code, formulas
and numbers are no words (rewards/language.py). The paper found that this costs a little accuracy and makes readable thinking.
Its clip eps is 10, which leaves only the upper bound, 11: importance ratios hardly ever meet it. Where it needs pass rates, the
curriculum of `easy_first_steps` goes by them; without a curriculum nothing reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, ReasoningRLConfig
from cogitate.recipe.asking import ask_r1
from cogitate.recipe.problems import data_files
from cogitate.recipe.rl.stage import Method, check_training_problems, rule_reward, run_rl
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.recipe.stages.measuring.pass_rates import read_rates
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.rollouts import by_rules


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    check_training_problems(config, stage)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    start, *measured = (artifact.path for artifact in inputs.values())
    rates = read_rates(measured[0]) if measured else None
    settings = config.section(context.stage, ReasoningRLConfig)

    def make(tokenizer: Tokenizer) -> Method:
        reward = rule_reward(config, "r1", language=settings.language_weight)
        return Method(ask_r1(settings, start, tokenizer), by_rules(reward), rates=rates)

    return run_rl(config, settings, start, out, context, make)
