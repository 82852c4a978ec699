"""Muon on a device: the CPU's updates, in as many launches for many layers as for few."""

import pytest
import torch

from cogitate.model.transformer import Transformer
from cogitate.train.optimisers import muon
from cogitate.train.optimisers.adamw import NUMBERS_TOGETHER
from cogitate.train.optimisers.muon import MuonAdamW
from tests.conftest import micro_config
from tests.on_device.stand_in_device import KIND, stand_in


def model_of(layers: int) -> Transformer:
    torch.manual_seed(0)
    return Transformer(micro_config(60).model_copy(update={"num_hidden_layers": layers}))


def step(model: Transformer, optimiser: MuonAdamW, seed: int) -> None:
    made = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=made).to(parameter.device)
    optimiser.step()


@pytest.mark.parametrize("numbers", [NUMBERS_TOGETHER, 500], ids=["at once", "in runs"])
def test_updates_are_those_of_the_cpu(numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "NUMBERS_TOGETHER", numbers)
    with stand_in():
        here, there = model_of(2), model_of(2).to(KIND)
        optimisers = [MuonAdamW(model, learning_rate=0.01, weight_decay=0.1) for model in (here, there)]
        for seed in range(2):
            step(here, optimisers[0], seed)
            step(there, optimisers[1], seed)
        for (name, parameter), other in zip(here.named_parameters(), there.parameters(), strict=True):
            assert torch.allclose(parameter, other.cpu(), atol=1e-5), name


@pytest.mark.parametrize("bfloat16", [False, True])
def test_many_layers_take_as_many_launches_as_few(bfloat16: bool) -> None:
    launched = []
    for layers in (3, 6):
        with stand_in() as counts:
            model = model_of(layers).to(KIND)
            optimiser = MuonAdamW(model, learning_rate=0.01, weight_decay=0.1, bfloat16=bfloat16)
            step(model, optimiser, 0)
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            counts.reset()
            optimiser.step()
            launched.append(counts.launches.total())
        assert counts.synchronisations.total() == 0
    assert launched[0] == launched[1]
