from pathlib import Path
from typing import Any

import pytest

from cogitate.config.toml import apply_override
from cogitate.errors import ConfigError
from cogitate.front_door.overrides import to_overrides


@pytest.mark.parametrize(
    "value", [True, 3, 1e-05, -2.5, "text", 'a "quoted" = #\\ \n\t\x7f 数', "", [1, 2], [], [{"question": "2 + 2?", "n": 1}]]
)
def test_a_value_is_what_the_command_line_reads_back(value: Any) -> None:
    table: dict[str, Any] = {}
    (override,) = to_overrides({"section": {"key": value}})
    apply_override(table, override)
    assert table == {"section": {"key": value}}


def test_dotted_and_nested_keys_mean_the_same() -> None:
    assert to_overrides({"r1_zero.steps": 3}, {"seed": 1, "r1_zero": {"steps": 3}}) == ["r1_zero.steps=3", "seed=1"]
    assert to_overrides({"inputs.base": Path("models/x")}) == ['inputs.base="models/x"']


def test_two_values_of_one_setting_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"r1_zero.steps: given twice, as 3 and as 4: keep one"):
        to_overrides({"r1_zero.steps": 3}, {"r1_zero": {"steps": 4}})


@pytest.mark.parametrize("value", [None, object(), {1, 2}])
def test_what_a_recipe_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"seed = .*: a setting is a number, a text"):
        to_overrides({"seed": value})
