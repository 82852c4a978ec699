"""The settings of prompts: what has no effect is refused, and ids of runs that set none stay."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cogitate.config import PPOConfig, RLConfig, Section, ZeroRLConfig
from cogitate.errors import ConfigError
from cogitate.recipe.settings import load_recipe

EXAMPLE = {"question": "2+2?", "thinking": "2 + 2 = 4", "answer": "4"}


@pytest.mark.parametrize(
    ("section", "settings", "says"),
    [
        (ZeroRLConfig, {"template": "Solve it."}, "needs {question} exactly once, where the question goes; it has it 0 times"),
        (RLConfig, {"template": "{question} {question}"}, "it has it 2 times"),
        (RLConfig, {"template": "{question}", "prompt": "turn"}, "has no effect with prompt turn"),
        (RLConfig, {"system_prompt": "Think."}, "has no effect with prompt plain"),
        (RLConfig, {"system_prompt": "Think.", "prompt": "turn"}, "has no effect with prompt turn"),
        (RLConfig, {"worked_examples": [EXAMPLE], "prompt": "turn"}, "have no effect with prompt turn"),
        (RLConfig, {"thinking_tags": ["<r>"]}, "write two of them"),
        (PPOConfig, {"template": "{question}"}, "has no effect in PPO"),
        (PPOConfig, {"worked_examples": [EXAMPLE]}, "has no effect in PPO"),
    ],
)
def test_what_would_have_no_effect_is_refused(section: type[Section], settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        section.model_validate(settings)


def test_the_refusal_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r'^r1_zero.template = "Solve": a template needs \{question\}'):
        load_recipe("tiny", ["r1_zero.template=Solve"])


def test_settings_of_prompts_are_part_of_an_identity_only_where_they_are_set() -> None:
    new = ("prompt", "template", "system_prompt", "worked_examples", "thinking_tags", "answer_tags")
    assert not [key for key in new if key in RLConfig().identity()]
    given = RLConfig.model_validate({"template": "{question}", "answer_tags": ["<a1>", "<a2>"]}).identity()
    assert (given["template"], given["answer_tags"]) == ("{question}", ["<a1>", "<a2>"])
