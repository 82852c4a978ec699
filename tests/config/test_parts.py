"""Further parts of the reward as settings: what is refused, in one line at its key, and what is part of artifact ids."""

from __future__ import annotations

import pytest

from cogitate.errors import ConfigError
from cogitate.recipe.settings import load_recipe, make_config

BREVITY = ("rewards.parts.brevity.file=x.py:brevity", "rewards.parts.brevity.weight=-0.2")
OVERLONG = "rewards.parts.soft_overlong_punishment"


def refused(*settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_recipe("tiny", settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_parts_are_set_by_name_and_are_in_artifact_ids_only_where_they_are_set() -> None:
    assert "parts" not in load_recipe("tiny").identity()["rewards"]
    config = load_recipe("tiny", [*BREVITY, "rewards.parts.cosine_length.max_length=192"])
    assert config.identity()["rewards"]["parts"] == {
        "brevity": {"weight": -0.2, "file": "x.py:brevity"},
        "cosine_length": {"weight": 1.0, "max_length": 192},
    }
    dumped = config.model_dump(mode="json")
    assert dumped["rewards"]["parts"] == config.identity()["rewards"]["parts"]
    assert make_config(dumped) == config


def test_weight_0_leaves_out_a_part_of_the_recipe() -> None:
    parts = load_recipe("puzzles", [*BREVITY, f"{OVERLONG}.weight=0"]).rewards.parts
    assert list(parts) == ["brevity"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("cosine_lenght.weight=1",), "cosine_lenght = {\"weight\": 1.0}: no built-in part has this name; did you mean cosine"),
        (("cosine_length.weight=1",), "cosine_length = {\"weight\": 1.0}: also set rewards.parts.cosine_length.max_length"),
        (("reasoning_step.weight=0",), "no built-in part has this name; did you mean reasoning_steps"),
        (("reasoning_steps.weight=nan",), "reasoning_steps.weight = NaN: Input should be a finite number"),
        (("reasoning_steps.cache=3",), "reasoning_steps.cache = 3: reasoning_steps has no use for cache; it takes wanted"),
        (("format.weight=2",), "format = {\"weight\": 2.0}: format has a weight of its own: set rewards.format"),
        (("brevity.file=x.py",), "brevity.file = \"x.py\": write FILE.py:FUNCTION"),
        (("brevity.file=x.py:f", "brevity.wanted=2"), "brevity.wanted = 2: a part of one's own has no use for wanted"),
        (("reasoning_steps.file=x.py:f",), "reasoning_steps.file = \"x.py:f\": reasoning_steps is built in; give your own"),
        (("reasoning_steps.wantd=2",), "unknown key rewards.parts.reasoning_steps.wantd; did you mean rewards.parts."),
        (("brevity=2",), "brevity is a section: write rewards.parts.brevity.KEY=VALUE"),
        (("brevity.weight=heavy",), 'rewards.parts.brevity.weight = "heavy": Input should be a valid number'),
        (('"a b".file=x.py:f',), "the name of a part is made of letters, digits and _"),
        (("repetition_penalty.ngram_size=2", "repetition_penalty.max_penalty=0"), "max_penalty = 0: Input should be less than"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_meant_is_refused_at_its_key(settings: tuple[str, ...], message: str) -> None:
    assert message in refused(*(f"rewards.parts.{setting}" for setting in settings))


def test_the_cache_of_the_overlong_punishment_lies_within_the_length() -> None:
    assert refused(f"{OVERLONG}.max_length=5", f"{OVERLONG}.cache=6").endswith("cache is at most max_length, which is 5")
