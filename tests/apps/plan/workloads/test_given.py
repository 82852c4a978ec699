"""What a user gives: models by directory, hub and package, and the rows of data."""

import json
from pathlib import Path

import pytest

from cogitate.apps.plan.models import find_shape
from cogitate.apps.plan.workloads.given import given_model, members_given, rows_given
from cogitate.errors import ConfigError
from cogitate.rewards.ensemble import Combination, save_ensemble

SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2, "vocab_size": 99}


def model_at(path: Path, **changed: object) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({"model_type": "llama", **SIZES, **changed}), encoding="utf-8")
    return path


def test_a_model_is_read_from_its_directory_or_where_a_package_was_fetched_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert given_model("base", str(model_at(tmp_path / "model")))[0].layers == 3
    model_at(tmp_path / "judges" / "helpfulness", num_hidden_layers=5)
    assert given_model("reward_models", str(tmp_path / "judges"))[0].layers == 5
    assert members_given(tmp_path / "judges") == 1
    model_at(tmp_path / "judges" / "helpfulness" / "members" / "2")
    save_ensemble(tmp_path / "judges" / "helpfulness", 2, Combination())
    assert members_given(tmp_path / "judges") == 2
    with pytest.raises(ConfigError, match=r"inputs\.base=pypi:llm-x: not fetched yet; name a published model instead: --model"):
        given_model("base", "pypi:llm-x")
    model_at(tmp_path / "cache" / "cogitate" / "pypi" / "llm-x", num_hidden_layers=7)
    assert given_model("base", "pypi:llm-x") == (find_shape(str(tmp_path / "cache" / "cogitate" / "pypi" / "llm-x"))[0], "")


def test_a_model_of_the_hub_that_was_not_fetched_is_known_by_its_name() -> None:
    shape, note = given_model("base", "Qwen/Qwen3-8B")
    assert (shape, note) == (find_shape("qwen3-8b")[0], "Qwen/Qwen3-8B has not been fetched: known by its name")
    with pytest.raises(ConfigError, match=r"inputs\.base: not fetched yet, and model 'somebody/thing': unknown"):
        given_model("base", "somebody/thing")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model_type": "mamba"}, "model_type = 'mamba': its costs are not known"),
        ({"hidden_size": -64}, "hidden_size = -64: give a whole number above 0"),
        ({"num_attention_heads": 0}, "num_attention_heads = 0: give a whole number above 0"),
        ({"num_hidden_layers": "3"}, "num_hidden_layers = '3': give a whole number above 0"),
        ({"vocab_size": None}, "without vocab_size|vocab_size"),
    ],
)
def test_a_config_that_cannot_be_used_names_its_key_and_what_to_do(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    path = model_at(tmp_path / "model", **changed)
    with pytest.raises(ConfigError, match=message) as error:
        given_model("base", str(path))
    assert str(error.value).startswith(f"inputs.base={path}: ")
    assert str(error.value).endswith("or name a published model: --model NAME")


def test_what_is_no_config_is_one_line(tmp_path: Path) -> None:
    for content in ("[1, 2]", "{", ""):
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"config\.json: (cannot be read|a config\.json is an object)"):
            find_shape(str(tmp_path))


def test_rows_of_given_data_are_counted_where_they_can_be(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"a": 1}\n\n{"a": 2}', encoding="utf-8")
    assert rows_given(file) == 2
    assert rows_given(tmp_path / "nowhere.jsonl") is None
    assert rows_given(tmp_path) is None
    (tmp_path / "data.parquet").write_bytes(b"no table")
    assert rows_given(tmp_path) is None
