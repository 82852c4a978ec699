"""The user's own code that a recipe names, as "FILE.py:FUNCTION". Nothing of it is imported here."""

from __future__ import annotations

from cogitate.config.config import Config


def reward_functions(config: Config) -> dict[str, str]:
    """Setting -> the function that it names, of those that rewards come from."""
    parts = {f"rewards.parts.{name}.file": part.file for name, part in config.rewards.parts.items()}
    named = {"rewards.custom": config.rewards.custom, **parts}
    return {key: code for key, code in named.items() if code}


def is_function(name: str) -> bool:
    """Whether a task's name is a function of a Python file."""
    return ".py:" in name


def user_files(config: Config) -> list[tuple[str, str]]:
    """(setting, function) of all that name one; a setting of problems may name several."""
    tasks = config.tasks
    named = {
        "tasks.train": tasks.train, "tasks.eval": tasks.eval, "tasks.general": tasks.general,
        "evaluate.further": config.evaluate.further,
    }  # fmt: skip
    problems = [(key, name.strip()) for key, spec in named.items() for name in spec.split(",") if is_function(name)]
    return [*reward_functions(config).items(), *problems]
