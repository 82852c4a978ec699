"""Which judge the settings name, and what is refused of them."""

from __future__ import annotations

from pathlib import Path

from cogitate.config import JudgeConfig
from cogitate.endpoint import check_endpoint, check_unset
from cogitate.errors import ConfigError
from cogitate.tokenizer.bpe import Tokenizer

JUDGE = "judge"  # the section
OF_A_MODEL = (".json", ".safetensors", ".jinja")


def check_judge(settings: JudgeConfig) -> None:
    """Refuse settings of a judge that is not there, and half an endpoint.

    Raises:
        ConfigError: the settings contradict each other, or name no model directory.
        CheckpointError: the directory has no tokenizer that can be read.
    """
    if settings.base_url:
        check_endpoint(settings, JUDGE)
        if settings.verdict_at_once:
            raise ConfigError(f"{JUDGE}.verdict_at_once: a server cannot be asked so; leave it out, or name a model directory")
    elif settings.model:
        check_unset(settings, JUDGE, f"{JUDGE}.base_url", of=("api_key_variable", "seconds_limit", "parallel"))
        if not (Path(settings.model) / "config.json").is_file():
            raise ConfigError(
                f"{JUDGE}.model = {settings.model!r}: no model directory; give one, or the server's URL as {JUDGE}.base_url"
            )
        Tokenizer.load(Path(settings.model))
    elif settings != JudgeConfig():
        key = next(key for key, value in settings if value != getattr(JudgeConfig(), key))
        raise ConfigError(f"{JUDGE}.{key}: changes nothing without {JUDGE}.model, which names the judge; leave it out")


def judge_files(settings: JudgeConfig) -> list[Path]:
    """The files of a judge that is a model directory: their content is part of what it says."""
    if not settings.model or settings.base_url or not Path(settings.model).is_dir():
        return []
    return sorted(file for file in Path(settings.model).iterdir() if file.suffix in OF_A_MODEL)
