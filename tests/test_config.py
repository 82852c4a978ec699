from pathlib import Path

import pytest

from cogitate.config import PretrainConfig, ReasoningRLConfig, flatten
from cogitate.errors import ConfigError
from cogitate.recipe.settings import load_recipe, make_config


def write(folder: Path, text: str) -> str:
    path = folder / "recipe.toml"
    path.write_bytes(text.encode())
    return str(path)


def refused(recipe: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_overrides_are_toml_values_and_plain_text_needs_no_quotes(tmp_path: Path) -> None:
    recipe = write(tmp_path, "seed = 3\n[base]\nsteps = 5\n")
    config = load_recipe(recipe, ["base.learning_rate=1e-3", "tasks.train=some folder/mine.jsonl", 'runtime.device="cpu"'])
    base = config.section("base", PretrainConfig)
    assert (config.seed, base.steps, base.learning_rate) == (3, 5, 1e-3)
    assert (config.tasks.train, config.runtime.device) == ("some folder/mine.jsonl", "cpu")


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    assert load_recipe(write(tmp_path, "\ufeffseed = 4\r\n[base]\r\nsteps = 2\r\n")).section("base", PretrainConfig).steps == 2


def test_an_unknown_key_names_the_nearest_one(tmp_path: Path) -> None:
    recipe = write(tmp_path, "")
    assert refused(recipe, "r1_zero.lerning_rate=1") == "unknown key r1_zero.lerning_rate; did you mean r1_zero.learning_rate?"
    assert refused(recipe, "r2_zero.steps=1") == "unknown key r2_zero; did you mean r1_zero?"
    in_file = write(tmp_path, "[evaluate]\nproblem = 3\n")
    assert refused(in_file) == f"{in_file}: unknown key evaluate.problem; did you mean evaluate.problems?"


def test_a_value_of_the_wrong_type_or_range_names_the_key_and_the_value(tmp_path: Path) -> None:
    recipe = write(tmp_path, "")
    assert refused(recipe, "base.steps=many").startswith('base.steps = "many": ')
    assert refused(recipe, "r1_zero.group_size=1").startswith("r1_zero.group_size = 1: ")
    assert refused(recipe, "rewards.accuracy=nan").startswith("rewards.accuracy = NaN: ")
    assert refused(recipe, "base=3") == "base = 3: base is a section: write base.KEY=VALUE"
    assert "seed is not a section" in refused(write(tmp_path, "seed = 1\n"), "seed.value=3")


def test_a_setting_without_an_equals_sign_is_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path, ""), "base.steps") == "'base.steps': a setting is written section.key=value"


def test_bad_toml_names_the_file_and_the_line(tmp_path: Path) -> None:
    recipe = write(tmp_path, "seed = 1\nsteps = = 3\n")
    message = refused(recipe)
    assert message.startswith(f"{recipe}: not a TOML file: ")
    assert "line 2" in message


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b'graph = "\xff"\n')
    assert refused(str(path)).startswith(f"{path}: not a TOML file: ")


def test_a_recipe_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert refused(str(tmp_path / "none.toml")).endswith("none.toml: no such recipe file")
    assert refused("tinny").startswith("tinny: no such recipe; ")


def test_identity_leaves_out_what_cannot_change_a_result() -> None:
    identity = flatten(make_config({}).identity())
    assert "base.steps" in identity
    assert "base.checkpoint_every" not in identity
    assert "rewards.workers" not in identity


def test_flatten_reaches_any_depth_and_drops_empty_sections() -> None:
    assert flatten({"a": 1, "b": {"c": {"d": 2}, "e": {}}}) == {"a": 1, "b.c.d": 2}


def test_data_are_found_through_the_environment_or_the_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write(tmp_path, '[tasks]\ntrain = "$COGITATE_DATA/sums.jsonl, logic"\n')
    monkeypatch.setenv("COGITATE_DATA", "/my data/")
    assert load_recipe(recipe).tasks.train == "/my data/sums.jsonl, logic"
    monkeypatch.delenv("COGITATE_DATA")
    message = refused(recipe)
    assert message.startswith('tasks.train = "$COGITATE_DATA/sums.jsonl, logic": the environment variable COGITATE_DATA is not')
    assert "tasks.train=PATH" in message
    assert load_recipe(recipe, ["tasks.train=mine.jsonl"]).tasks.train == "mine.jsonl"  # then it is not needed


def test_worked_examples_are_part_of_the_identity_only_where_there_are_any(tmp_path: Path) -> None:
    assert "r1_zero.worked_examples" not in flatten(load_recipe(write(tmp_path, "")).identity())
    example = '[[r1_zero.worked_examples]]\nquestion = "1 + 1?"\nthinking = "1 + 1 = 2"\nanswer = "2"\n'
    config = load_recipe(write(tmp_path, example))
    assert flatten(config.identity())["r1_zero.worked_examples"] == [
        {"question": "1 + 1?", "thinking": "1 + 1 = 2", "answer": "2"}
    ]
    assert make_config(config.model_dump(mode="json")) == config
    message = refused(write(tmp_path, example.replace("thinking", "thoughts")))
    assert "worked_examples.0.thinking" in message
    message = refused(write(tmp_path, f"{example}thoughts = 1\n"))
    assert "did you mean r1_zero.worked_examples.0.thinking?" in message


def test_a_base_model_cannot_be_asked_in_a_turn_it_has_not_learnt(tmp_path: Path) -> None:
    recipe = write(tmp_path, "")
    assert "prompt turn is of fine-tuned models" in refused(recipe, "r1_zero.prompt=turn")
    config = load_recipe(recipe, ["graph=r1", "r1_dev2.prompt=turn"])
    assert config.section("r1_dev2", ReasoningRLConfig).prompt == "turn"


def test_a_recipe_has_settings_for_the_stages_of_its_graph_alone(tmp_path: Path) -> None:
    recipe = write(tmp_path, "")
    assert "unknown key r1_dev2" in refused(recipe, "r1_dev2.steps=3")
    assert "r1_dev2.steps" in flatten(load_recipe(recipe, ["graph=r1"]).model_dump())


def test_another_graph_leaves_out_the_files_sections_of_stages_it_has_not(tmp_path: Path) -> None:
    recipe = write(tmp_path, 'graph = "instruct_gpt"\n[ppo]\nsteps = 3\n[dpo]\nbeta = 0.3\n')
    settings = flatten(load_recipe(recipe, ["graph=instruct_dpo"]).model_dump())
    assert settings["dpo.beta"] == 0.3
    assert "ppo.steps" not in settings
    assert "unknown key ppo" in refused(recipe, "graph=instruct_dpo", "ppo.steps=3")
