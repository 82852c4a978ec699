"""A decoder with a value head: what it computes, and that it comes back from disk as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cogitate.errors import CheckpointError
from cogitate.model.files.hf import load_model
from cogitate.model.transformer import Transformer
from cogitate.model.value_head import HEAD, ValueModel, load_value_model, save_value_model


def with_head(make_micro_model: Callable[..., Transformer]) -> ValueModel:
    model = ValueModel(make_micro_model(1))
    with torch.no_grad():
        model.score.weight.normal_(generator=torch.Generator().manual_seed(2))
        model.score.bias.fill_(0.5)
    return model.requires_grad_(False)


def test_a_new_head_finds_every_text_worth_nothing(make_micro_model: Callable[..., Transformer]) -> None:
    model = ValueModel(make_micro_model())
    assert torch.equal(model(torch.tensor([[3, 4, 5]])), torch.zeros(1, 3))
    assert model.trunk.mtp is None


def test_the_value_is_the_heads_product_with_the_hidden_state_plus_its_bias(
    make_micro_model: Callable[..., Transformer]
) -> None:
    model = with_head(make_micro_model)
    tokens_BT = torch.tensor([[3, 4, 5, 6]])
    hidden_D = model.trunk(tokens_BT)[0, 2].detach()
    assert model(tokens_BT)[0, 2].item() == pytest.approx(float(hidden_D @ model.score.weight[0].detach()) + 0.5, abs=1e-5)


def test_rescaling_shifts_and_divides_every_value(make_micro_model: Callable[..., Transformer]) -> None:
    model = with_head(make_micro_model)
    tokens_BT = torch.tensor([[3, 4, 5, 6]])
    before = model(tokens_BT)
    model.rescale(2.0, 4.0)
    assert torch.allclose(model(tokens_BT), (before - 2.0) / 4.0, atol=1e-6)


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
