"""A decoder with a value head: what it computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from cogitate.model.transformer import Transformer
from cogitate.model.value_head import ValueModel


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
    make_micro_model: Callable[..., Transformer],
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
