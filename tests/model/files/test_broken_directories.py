"""Every broken model directory is an error that names its file and key."""

import json
from pathlib import Path

import pytest
import torch

from cogitate.errors import CheckpointError
from cogitate.model.files.hf import load_config, load_model, save_model
from tests.model.files.small_model import SMALL, edit_json, edit_tensors, small_model


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match=r"model.safetensors: not a whole safetensors file"):
        load_model(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path, shard_bytes=100_000)
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"{shard.name}: this file of the checkpoint is missing"):
        load_model(tmp_path)


def test_an_index_that_names_an_absent_tensor_is_refused(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path, shard_bytes=100_000)
    index = tmp_path / "model.safetensors.index.json"
    edit_json(index, lambda value: value["weight_map"].update(ghost=next(iter(value["weight_map"].values()))))
    with pytest.raises(CheckpointError, match=r"index.json: says that model-.* holds ghost, which it does not"):
        load_model(tmp_path)


def test_an_index_cannot_reach_outside_the_directory(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path / "a", shard_bytes=100_000)
    index = tmp_path / "a" / "model.safetensors.index.json"
    edit_json(index, lambda value: value["weight_map"].update({"model.norm.weight": "../b/model.safetensors"}))
    with pytest.raises(CheckpointError, match="outside the directory"):
        load_model(tmp_path / "a")


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    edit_tensors(tmp_path / "model.safetensors", lambda tensors: tensors.pop("model.norm.weight"))
    with pytest.raises(CheckpointError, match=r"tensor model.norm.weight is missing"):
        load_model(tmp_path)


def test_a_tensor_without_a_place_is_named(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    edit_tensors(tmp_path / "model.safetensors", lambda tensors: tensors.update({"model.extra.weight": torch.zeros(3)}))
    with pytest.raises(CheckpointError, match=r"tensor model.extra.weight has no place in a deepseek_v3 model"):
        load_model(tmp_path)


def test_a_wrong_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    edit_tensors(tmp_path / "model.safetensors", lambda tensors: tensors.update({"model.norm.weight": torch.zeros(7)}))
    with pytest.raises(CheckpointError, match=r"model.norm.weight has shape \[7\], config.json asks for \[160\]"):
        load_model(tmp_path)


def test_pickled_weights_are_refused_unopened(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin: pickled weights can run code .* convert .* to safetensors"):
        load_model(tmp_path)


def test_an_empty_directory_and_a_directory_without_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config.json: not there"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(SMALL.to_dict()))
    with pytest.raises(CheckpointError, match=r"neither model.safetensors nor model.safetensors.index.json"):
        load_model(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("{", "cannot be read as JSON"), ("[]", "must be a JSON object")])
def test_a_config_that_is_no_json_object_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=f"config.json: {message}"):
        load_config(tmp_path)


def test_integer_weights_are_refused(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path)
    change = {"model.norm.weight": torch.zeros(160, dtype=torch.int8)}
    edit_tensors(tmp_path / "model.safetensors", lambda tensors: tensors.update(change))
    with pytest.raises(CheckpointError, match=r"model.norm.weight is torch.int8: quantised weights are not supported"):
        load_model(tmp_path)
