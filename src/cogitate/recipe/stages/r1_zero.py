"""r1_zero: GRPO on the base model from rule rewards alone, accuracy and format (R1, section 2.2). No SFT, and no example
unless the recipe sets worked_examples for a model too small to find the form.

What it may see of a problem is its question; the gold answer goes to the grader alone. The stages student_rl_* are this one
from another base: the paper's comparison of RL alone with distillation (R1, supplement).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.recipe.asking import ask_r1_zero
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
        reward = rule_reward(config, "r1_zero", language=config.rewards.language)
        return Method(ask_r1_zero(settings, start, tokenizer), by_rules(reward))

    return run_rl(config, start, out, context, make)
