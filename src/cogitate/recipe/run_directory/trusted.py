"""Runs whose rewards the user trusts with the network and files. That is said anew with each start: nothing that can be copied
or downloaded, a recipe or a run directory, gives a function this freedom. Its answers are kept beside the stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cogitate.config import Config
from cogitate.config.user_files import reward_functions
from cogitate.errors import ArtifactError, ConfigError
from cogitate.recipe.run_directory.failed_start import ANSWERS
from cogitate.recipe.run_directory.standing import Planned
from cogitate.recipe.run_directory.store import keys_read
from cogitate.recipe.stage import Stage

TRUSTED = "trusted_rewards"  # the key in a manifest


def check_trust(config: Config, out: Path, planned: Sequence[Planned], *, trusted: bool) -> None:
    """Refuse trust that changes nothing, and to go on without it where a run began with it.

    Raises:
        ConfigError: the recipe names no function of the user's for rewards.
        ArtifactError: answers of trusted functions are there, and functions that are confined would give others.
    """
    if trusted and not reward_functions(config):
        raise ConfigError(
            "--trust-rewards changes nothing: no reward is a function of your own (rewards.custom, rewards.parts.NAME.file)"
        )
    if not trusted and (out / ANSWERS).exists() and any(item.runs for item in planned):
        raise ArtifactError(
            f"{out} was made with --trust-rewards, which must be said with each start: say it, or use another --out"
        )


def facts_of_trust(stage: Stage, graph: Sequence[Stage], out: Path) -> dict[str, str]:
    """What the manifest of a stage says that is made with trusted rewards; {} where none are, or it reads none."""
    if not (out / ANSWERS).exists() or not any(key.partition(".")[0] == "rewards" for key in keys_read(stage, graph)):
        return {}
    return {TRUSTED: f"functions that could use the network and files; not reproducible without the answers in {ANSWERS}"}
