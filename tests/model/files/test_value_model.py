"""Models with a value head on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cogitate.errors import CheckpointError
from cogitate.model.files.hf import load_model
from cogitate.model.files.value_model import HEAD, load_value_model, save_value_model
from cogitate.model.transformer import Transformer
from tests.model.test_value_head import with_head


def test_it_comes_back_from_disk_bit_for_bit_and_its_trunk_is_an_ordinary_model(
    make_micro_model: Callable[..., Transformer], tmp_path: Path
) -> None:
    model = with_head(make_micro_model)
    save_value_model(model, tmp_path / "reward")
    back = load_value_model(tmp_path / "reward")
    assert back.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, back.state_dict()[name]) for name, tensor in model.state_dict().items())
    tokens_BT = torch.tensor([[3, 4, 5, 6]])
    assert torch.equal(load_model(tmp_path / "reward")(tokens_BT), model.trunk(tokens_BT))


def test_a_head_without_a_bias_as_published_classifiers_have_it_is_read(
    make_micro_model: Callable[..., Transformer], tmp_path: Path
) -> None:
    model = with_head(make_micro_model)
    save_value_model(model, tmp_path)
    save_file({"score.weight": load_file(tmp_path / HEAD)["score.weight"]}, tmp_path / HEAD)
    assert load_value_model(tmp_path).score.bias.item() == 0.0


def test_a_model_without_a_head_or_with_anothers_is_refused(
    make_micro_model: Callable[..., Transformer], tmp_path: Path
) -> None:
    model = with_head(make_micro_model)
    save_value_model(model, tmp_path)
    save_file({"score.weight": torch.zeros(1, 7)}, tmp_path / HEAD)
    with pytest.raises(CheckpointError, match=r"value_head.safetensors: has .*\(1, 7\).*a head of this trunk has .*\(1, 32\)"):
        load_value_model(tmp_path)
    (tmp_path / HEAD).write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_value_model(tmp_path)
    (tmp_path / HEAD).unlink()
    with pytest.raises(CheckpointError, match="this is no reward model"):
        load_value_model(tmp_path)
