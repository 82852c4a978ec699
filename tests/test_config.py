from pathlib import Path

import pytest

from cogitate.config import Config, flatten, load_config
from cogitate.errors import ConfigError


def write(folder: Path, text: str) -> str:
    path = folder / "recipe.toml"
    path.write_bytes(text.encode())
    return str(path)


def refused(recipe: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(recipe, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_overrides_are_toml_values_and_plain_text_needs_no_quotes(tmp_path):
    recipe = write(tmp_path, "seed = 3\n[base]\nsteps = 5\n")
    config = load_config(recipe, ["base.learning_rate=1e-3", "tasks.train=some folder/mine.jsonl", 'runtime.device="cpu"'])
    assert (config.seed, config.base.steps, config.base.learning_rate) == (3, 5, 1e-3)
    assert (config.tasks.train, config.runtime.device) == ("some folder/mine.jsonl", "cpu")


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path):
    assert load_config(write(tmp_path, "\ufeffseed = 4\r\n[base]\r\nsteps = 2\r\n")).base.steps == 2


def test_an_unknown_key_names_the_nearest_one(tmp_path):
    recipe = write(tmp_path, "")
    assert refused(recipe, "r1_zero.lerning_rate=1") == "unknown key r1_zero.lerning_rate; did you mean r1_zero.learning_rate?"
    assert refused(recipe, "r2_zero.steps=1") == "unknown key r2_zero; did you mean r1_zero?"
    in_file = write(tmp_path, "[evaluate]\nproblem = 3\n")
    assert refused(in_file) == f"{in_file}: unknown key evaluate.problem; did you mean evaluate.problems?"


def test_a_value_of_the_wrong_type_or_range_names_the_key_and_the_value(tmp_path):
    recipe = write(tmp_path, "")
    assert refused(recipe, "base.steps=many").startswith('base.steps = "many": ')
    assert refused(recipe, "r1_zero.group_size=1").startswith("r1_zero.group_size = 1: ")
    assert refused(recipe, "rewards.accuracy=nan").startswith("rewards.accuracy = NaN: ")
    assert refused(recipe, "base=3") == "base = 3: base is a section: write base.KEY=VALUE"
    assert "seed is not a section" in refused(write(tmp_path, "seed = 1\n"), "seed.value=3")


def test_a_setting_without_an_equals_sign_is_refused(tmp_path):
    assert refused(write(tmp_path, ""), "base.steps") == "'base.steps': a setting is written section.key=value"


def test_bad_toml_names_the_file_and_the_line(tmp_path):
    recipe = write(tmp_path, "seed = 1\nsteps = = 3\n")
    message = refused(recipe)
    assert message.startswith(f"{recipe}: not a TOML file: ")
    assert "line 2" in message


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(b'graph = "\xff"\n')
    assert refused(str(path)).startswith(f"{path}: not a TOML file: ")


def test_a_recipe_that_does_not_exist_is_refused(tmp_path):
    assert refused(str(tmp_path / "none.toml")).endswith("none.toml: no such recipe file")
    assert refused("tinny").startswith("tinny: no such recipe; ")


def test_identity_leaves_out_what_cannot_change_a_result():
    identity = flatten(Config().identity())
    assert "base.steps" in identity
    assert "base.checkpoint_every" not in identity
    assert "rewards.workers" not in identity


def test_flatten_reaches_any_depth_and_drops_empty_sections():
    assert flatten({"a": 1, "b": {"c": {"d": 2}, "e": {}}}) == {"a": 1, "b.c.d": 2}
