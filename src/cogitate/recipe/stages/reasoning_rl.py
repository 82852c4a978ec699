"""r1_dev2: GRPO on a fine-tuned model, with a reward for thinking in the question's language (R1, section 2.3.2).

reward = accuracy + format + language_weight * share of the thinking's words that are of the question's language; code, formulas
and numbers are no words (rewards/language.py). The paper found that this costs a little accuracy and makes readable thinking.
Its clip eps is 10, which leaves only the upper bound, 11: importance ratios hardly ever meet it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.recipe.asking import ASKED_R1
from cogitate.recipe.context import StageContext
from cogitate.recipe.problems import data_files, training_problems
from cogitate.recipe.rl.stage import SECTIONS, Method, rule_reward, run_rl
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.rl import by_rules, check_enough
from cogitate.types import Artifact

__all__ = ["SECTIONS", "VERSION", "check", "files", "run"]

VERSION = 1


def files(config: Config) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: str) -> None:
    """Refuse bad data before any time is spent."""
    check_enough(training_problems(config), getattr(config, stage), stage)


def run(config: Config, inputs: dict[str, Artifact], out: Path, context: StageContext) -> dict[str, Any]:
    start, settings = next(iter(inputs.values())).path, getattr(config, context.stage)

    def make(tokenizer: Tokenizer) -> Method:
        reward = rule_reward(config, "r1", language=settings.language_weight)
        return Method(ASKED_R1[settings.prompt](start, tokenizer), by_rules(reward))

    return run_rl(config, start, out, context, make)
