from pathlib import Path

import pytest

from cogitate.config.layers import Layer, lay_over, origins_of, read_layers
from cogitate.errors import ConfigError


def beside(recipe: str, folder: Path) -> Path:
    return folder / recipe


def layers_of(folder: Path, **files: str) -> list[Layer]:
    """The layers of `mine`, with the other files beside it."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return read_layers("mine.toml", lambda recipe, where: beside(recipe, folder if where == Path() else where))


def refused(folder: Path, **files: str) -> str:
    with pytest.raises(ConfigError) as caught:
        layers_of(folder, **files)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_a_recipe_extends_lies_beneath_it_along_the_whole_chain(tmp_path: Path) -> None:
    layers = layers_of(
        tmp_path, mine='extends = "middle.toml"\nseed = 3', middle='extends = "lowest.toml"\nseed = 2', lowest="seed = 1"
    )
    assert [(Path(layer.name).stem, layer.table["seed"]) for layer in layers] == [("lowest", 1), ("middle", 2), ("mine", 3)]


def test_a_recipe_that_extends_itself_is_refused_with_the_whole_circle(tmp_path: Path) -> None:
    message = refused(tmp_path, mine='extends = "other.toml"', other='extends = "mine.toml"')
    assert message.startswith(f"{tmp_path / 'other.toml'}: extends {tmp_path / 'mine.toml'}, which extends it: ")
    assert message.count(" -> ") == 2


def test_a_recipe_extends_one_other_by_its_name(tmp_path: Path) -> None:
    assert "extends = ['tiny']: name one recipe" in refused(tmp_path, mine='extends = ["tiny"]')


def test_a_name_of_a_graph_and_stages_of_ones_own_exclude_each_other(tmp_path: Path) -> None:
    message = refused(tmp_path, mine='graph = "r1"\n[[stages]]\nname = "a"\nkind = "b"\n')
    assert (
        message == f"{tmp_path / 'mine.toml'}: has both graph and [[stages]]: give the name of a graph, or stages of your own"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stages = 3", "write each stage as a table [[stages]]"),
        ("stages = []", "write each stage as a table [[stages]]"),
        ('[[stages]]\nkind = "b"', "number 1: name is missing"),
        ('[[stages]]\nname = "a"', "number 1: kind is missing"),
        ('[[stages]]\nname = "a"\nkind = "b"\nneeds = "c"', 'needs is not a list; write needs = ["NAME", ...]'),
        ('seed = 1\n[[stages]]\nname = "seed"\nkind = "b"\nsteps = 2', "seed is a setting, not a stage's section"),
        ('[[stages]]\nname = "a"\nkind = "b"\nsteps = 2\n[a]\nsteps = 3', "steps is also set in [a]: set it once"),
    ],
)
def test_rows_that_are_no_stages_are_refused_with_their_number(tmp_path: Path, text: str, problem: str) -> None:
    message = refused(tmp_path, mine=text)
    assert message.startswith(f"{tmp_path / 'mine.toml'}: ")
    assert problem in message


def test_settings_of_a_row_stand_in_the_section_of_its_stage(tmp_path: Path) -> None:
    (layer,) = layers_of(tmp_path, mine='[[stages]]\nname = "a"\nkind = "b"\nsteps = 2\n[a]\nrows = 4')
    assert layer.table == {"a": {"rows": 4, "steps": 2}, "graph": "own", "stages": [{"name": "a", "kind": "b"}]}


def test_sections_are_laid_over_each_other_key_by_key_but_an_architecture_as_a_whole() -> None:
    assert lay_over({"a": {"x": 1, "y": {"z": 2}}}, {"a": {"y": {"w": 3}}, "b": 4}) == {
        "a": {"x": 1, "y": {"z": 2, "w": 3}},
        "b": 4,
    }
    below = {"model": {"model_type": "deepseek_v3", "kv_lora_rank": 64, "hidden_size": 160}}
    assert lay_over(below, {"model": {"hidden_size": 32}})["model"]["kv_lora_rank"] == 64
    llama = {"model_type": "llama", "hidden_size": 32}
    assert lay_over(below, {"model": llama})["model"] == llama


def test_the_origin_of_a_value_is_the_uppermost_layer_that_sets_it() -> None:
    layers = [Layer("low", {"a": {"x": 1, "y": 1}}), Layer("high", {"a": {"y": 2}})]
    assert origins_of({"a": {"x": 1, "y": 2}}, layers) == {"a.x": "low", "a.y": "high"}
