"""General prompts: which problems ask for help or refusal rather than for one right answer."""

from __future__ import annotations

from pathlib import Path

from cogitate.config import Config
from cogitate.errors import ConfigError
from cogitate.rewards.kinds import has_rules
from cogitate.tasks.mixture import files_in, gather_problems
from cogitate.types import Problem


def general_training_problems(config: Config) -> list[Problem]:
    """The general prompts RL draws from: the training split of tasks.general.

    Raises:
        ConfigError: a problem that rules judge is among them.
        DataError: a file cannot be used.
    """
    problems = gather_problems(config.tasks.general, config.tasks.train_problems, split="train", seed=config.seed)
    for problem in problems:
        if has_rules(problem.kind):
            raise ConfigError(
                f"{problem.place}: rules judge kind {problem.kind}: name {problem.task} in tasks.train, not in tasks.general"
            )
    return problems


def general_files(config: Config) -> list[Path]:
    """The files they come from."""
    return files_in(config.tasks.general)
