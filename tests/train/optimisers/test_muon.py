"""Muon's orthogonalisation against the SVD, the size of its updates, and AdamW's half against PyTorch's."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from cogitate.model.transformer import Transformer
from cogitate.train.optimisers import muon
from cogitate.train.optimisers.muon import MOMENTUM, MuonAdamW, orthogonalise


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6), (3, 12, 7)])
def test_orthogonalise_keeps_the_singular_vectors_and_makes_the_values_about_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = orthogonalise(matrices)
    assert result.shape == matrices.shape
    u, s, vh = torch.linalg.svd(matrices.double(), full_matrices=False)
    ours = torch.diagonal(u.mT @ result.double() @ vh.mT, dim1=-2, dim2=-1)
    off = u.mT @ result.double() @ vh.mT - torch.diag_embed(ours)
    assert off.abs().max() < 1e-4  # the same singular vectors
    relative = s / s.norm(dim=-1, keepdim=True)
    assert ours[relative > 0.02].min() > 0.6
    assert ours.max() < 1.25


def test_orthogonalise_does_not_depend_on_the_size_of_the_gradient() -> None:
    matrix = torch.randn(5, 9, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(orthogonalise(matrix * 1e4), orthogonalise(matrix), atol=1e-4)
    assert torch.equal(orthogonalise(torch.zeros(4, 4)), torch.zeros(4, 4))


class Named(nn.Module):
    """One parameter of each kind that the optimiser tells apart."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.proj = nn.Parameter(torch.randn(12, 30) * 0.1)
        self.experts = nn.Parameter(torch.randn(3, 10, 16) * 0.1)
        self.embed_tokens = nn.Parameter(torch.randn(20, 8) * 0.1)
        self.norm = nn.Parameter(torch.ones(8))

    def set_gradients(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_an_update_has_the_root_mean_square_that_adamws_usually_has() -> None:
    model = Named()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = MuonAdamW(model, learning_rate=0.5, weight_decay=0.0)
    model.set_gradients(0)
    optimiser.step()
    for name in ("proj", "experts"):
        update = (getattr(model, name).detach() - before[name]) / 0.5
        # singular values of about 1: rms = sqrt(min / (rows x columns)); times 0.2 sqrt(max) that is about 0.2
        assert update.square().mean().sqrt() == pytest.approx(0.2, rel=0.15), name


def gradient_of(model: Named) -> torch.Tensor:
    assert model.proj.grad is not None
    return model.proj.grad.clone()


def test_the_second_update_follows_nesterov_momentum() -> None:
    model = Named()
    optimiser = MuonAdamW(model, learning_rate=1.0, weight_decay=0.0)
    model.set_gradients(0)
    first = gradient_of(model)
    optimiser.step()
    before = model.proj.detach().clone()
    model.set_gradients(1)
    second = gradient_of(model)
    optimiser.step()
    momentum = MOMENTUM * (1 - MOMENTUM) * first + (1 - MOMENTUM) * second
    direction = (1 - MOMENTUM) * second + MOMENTUM * momentum
    expected = before - orthogonalise(direction) * 0.2 * 30**0.5
    assert torch.allclose(model.proj.detach(), expected, atol=1e-4)


def test_tables_and_vectors_are_updated_as_by_pytorchs_adamw() -> None:
    model, theirs = Named(), Named()
    optimiser = MuonAdamW(model, learning_rate=0.01, weight_decay=0.1)
    reference = torch.optim.AdamW(
        [{"params": [theirs.embed_tokens], "weight_decay": 0.1}, {"params": [theirs.norm], "weight_decay": 0.0}],
        lr=0.01, betas=(0.9, 0.95), eps=1e-8,
    )  # fmt: skip
    for step in range(5):
        model.set_gradients(step)
        theirs.set_gradients(step)
        optimiser.step()
        reference.step()
    assert torch.allclose(model.embed_tokens, theirs.embed_tokens, atol=1e-6)
    assert torch.allclose(model.norm, theirs.norm, atol=1e-6)


@pytest.mark.parametrize("multiplies_bfloat16", [True, False])
def test_where_bfloat16_is_faster_the_updates_are_those_of_float32_to_its_precision_and_elsewhere_to_the_bit(
    multiplies_bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(muon, "multiplies_bfloat16", lambda device: multiplies_bfloat16)
    model, together = Named(), Named()
    for of, bfloat16 in ((model, False), (together, True)):
        of.tall = nn.Parameter(of.proj.detach().mT.clone())  # of proj's shape the other way round
        optimiser = MuonAdamW(of, learning_rate=1.0, weight_decay=0.1, bfloat16=bfloat16)
        for step in range(2):
            of.set_gradients(step)
            optimiser.step()
    for (name, parameter), other in zip(model.named_parameters(), together.parameters(), strict=True):
        assert torch.allclose(parameter, other, atol=0.1), name  # of entries of about 0.3
        assert torch.equal(parameter, other) == (not multiplies_bfloat16 or name in ("embed_tokens", "norm")), name


def test_decay_is_decoupled_and_on_matrices_alone() -> None:
    model = Named()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = MuonAdamW(model, learning_rate=0.1, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in model.named_parameters():
        share = 1.0 if name == "norm" else 1 - 0.1 * 0.5
        assert torch.allclose(parameter, before[name] * share), name


def test_which_parameters_of_our_model_are_matrices(make_micro_model: Callable[..., Transformer]) -> None:
    model = make_micro_model()
    names = {id(p): name for name, p in model.named_parameters()}
    optimiser = MuonAdamW(model, 0.01, 0.1)
    by_muon = {names[id(p)] for group in optimiser.param_groups if group["muon"] for p in group["params"]}
    tables = {name for name, p in model.named_parameters() if p.dim() >= 2 and name not in by_muon}
    routers = {name for name in names.values() if name.endswith("mlp.gate.weight")}
    assert len(routers) == 2
    assert tables == {"embed_tokens.weight", "lm_head.weight"} | routers
    assert any("experts.gate_up_proj" in name for name in by_muon)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(names)
