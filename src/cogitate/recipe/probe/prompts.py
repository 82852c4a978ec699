"""The prompts that a probe tries: R1-Zero's template and the model's own, with opened thinking, with worked examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from cogitate.config import ZeroRLConfig
from cogitate.evals.prompts import R1_ZERO
from cogitate.recipe.asking import prompt_name

PLAIN_OR_CHAT = ("plain", "chat")


@dataclass(frozen=True, slots=True)
class Tried:
    """A prompt, as the settings of RL that ask in it."""

    name: str
    settings: ZeroRLConfig


def prompts_to_try(settings: ZeroRLConfig, *, has_template: bool, examples: Sequence[dict[str, str]] = ()) -> list[Tried]:
    """Every prompt that the settings leave open, each once.

    Args:
        has_template: whether the model has a chat template; without one only plain prompts are tried.
        examples: worked examples to try; (): the prompts without any, or with those that the settings have.
    """
    found: dict[str, Tried] = {}
    for prompt in PLAIN_OR_CHAT if has_template else PLAIN_OR_CHAT[:1]:
        for opened in (False, True):
            values: dict[str, Any] = {"prompt": prompt, "open_thinking": opened}
            if examples:
                values["worked_examples"] = examples
            changed = {key: value for key, value in values.items() if key in settings.from_probe}
            try:
                tried = ZeroRLConfig.model_validate({**settings.model_dump(exclude_unset=True), **changed})
            except ValidationError:  # what the user sets has a place in the other prompt alone, as a system message has
                continue
            name = prompt_name(tried, R1_ZERO.name)
            found.setdefault(name, Tried(name, tried))
    return list(found.values())
