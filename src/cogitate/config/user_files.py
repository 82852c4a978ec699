"""The user's own code that a recipe would run."""

from __future__ import annotations

from cogitate.config.config import Config


def user_files(config: Config) -> dict[str, str]:
    """The settings that name Python code of the user, as "file.py:function"; nothing of it is imported here."""
    parts = {f"rewards.parts.{name}.file": part.file for name, part in config.rewards.parts.items()}
    named = {"rewards.custom": config.rewards.custom, **parts}
    return {key: code for key, code in named.items() if code}
