"""AdamW over masters in one pass, against PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cogitate.kernels import native_library
from cogitate.train.checkpoint import restore_training_tensors, training_tensors
from cogitate.train.optimisers.adamw import (
    BETAS,
    MOMENTS,
    Moved,
    adamw_step,
    is_adamw,
    make_adamw,
    master_of,
    move,
    move_together,
    norm_of,
    runs_of,
    set_master,
)
from cogitate.train.optimisers.master_weights import MasterWeights, clip_gradients, optimiser_for

SHAPES = ((300, 60), (7, 5), (13,))


class Shapes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weights = nn.ParameterList(torch.randn(shape) for shape in SHAPES)


def gradients(step: int) -> list[Tensor]:
    torch.manual_seed(step)
    return [torch.randn(shape).bfloat16() for shape in SHAPES]


def masters() -> tuple[Shapes, MasterWeights]:
    model = Shapes().bfloat16()
    optimiser = optimiser_for(model, lambda trained: make_adamw(trained, 1e-2, 0.1))
    assert isinstance(optimiser, MasterWeights)
    return model, optimiser


def train(model: nn.Module, optimiser: MasterWeights, steps: range, limit: float) -> list[float]:
    norms = []
    for step in steps:
        for parameter, gradient in zip(model.parameters(), gradients(step), strict=True):
            (parameter * gradient).sum().backward()
        norms.append(clip_gradients(model, optimiser, limit))
        optimiser.step()
    return norms


@pytest.fixture(params=["native", "plain"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "plain":
        monkeypatch.setenv("COGITATE_NATIVE", "0")
    native_library.cache_clear()
    if request.param == "native" and native_library() is None:
        pytest.skip("no compiler for the kernels")
    yield request.param
    native_library.cache_clear()


@pytest.mark.parametrize("limit", [1.0, 1e6])
def test_masters_and_moments_are_those_of_pytorch_with_gradients_clipped(kernels: str, limit: float) -> None:
    model, optimiser = masters()
    other = Shapes().bfloat16().double()
    exact = make_adamw(other, 1e-2, 0.1)
    norms = train(model, optimiser, range(5), limit)
    for step in range(5):
        for parameter, gradient in zip(other.parameters(), gradients(step), strict=True):
            parameter.grad = gradient.double()
        assert norms[step] == pytest.approx(float(nn.utils.clip_grad_norm_(other.parameters(), limit)), rel=1e-5)
        exact.step()
    for weight, remainder, theirs in zip(model.parameters(), optimiser.remainders.values(), other.parameters(), strict=True):
        master = master_of(weight.detach(), remainder)
        torch.testing.assert_close(master, theirs.float(), rtol=1e-3, atol=5 * 1e-2 * 2**-7)  # a step rounds by 2^-8
        assert bool(((master - weight).abs() <= weight.abs() * 2**-8).all())
        mine, expected = optimiser.state[weight], exact.state[theirs]
        assert list(mine) == list(expected)
        assert [mine[key].dtype for key in mine] == [torch.float32, torch.bfloat16, torch.bfloat16]
        for key, value in expected.items():
            torch.testing.assert_close(mine[key].float(), value.float(), rtol=2**-6, atol=4e-3)


def test_both_forms_round_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moments that differ by their last bit, and so steps by 2^-8 of them, at most."""
    if native_library() is None:
        pytest.skip("no compiler for the kernels")
    results = []
    for native in ("1", "0"):
        monkeypatch.setenv("COGITATE_NATIVE", native)
        native_library.cache_clear()
        model, optimiser = masters()
        train(model, optimiser, range(4), 1.0)
        results.append((model, optimiser))
    native_library.cache_clear()
    (model, one), (again, other) = results
    for (name, weight), theirs in zip(model.named_parameters(), again.parameters(), strict=True):
        mine, expected = (master_of(w.detach(), o.remainders[name]) for w, o in ((weight, one), (theirs, other)))
        torch.testing.assert_close(mine, expected, rtol=0, atol=4 * 1e-2 * 2**-8)  # of four steps
        for key, atol in zip(MOMENTS, (1e-5, 0), strict=True):  # means of either sign may be small
            torch.testing.assert_close(one.state[weight][key], other.state[theirs][key], rtol=2**-6, atol=atol)


@pytest.mark.usefixtures("kernels")
def test_moments_in_bfloat16_still_follow_gradients_that_change_a_little() -> None:
    """Averages that stood still because steps of theirs are rounded away would be those of the first gradients for ever."""
    weight, remainder = nn.Parameter(torch.ones(1, dtype=torch.bfloat16)), torch.zeros(1, dtype=torch.int16)
    optimiser = torch.optim.AdamW([weight], lr=1e-5, betas=(0.9, 0.95))
    for step in range(200):
        gradient = torch.tensor([1.0 if step < 100 else 1.1])
        adamw_step(optimiser, {weight: (gradient, remainder)}, 1.0)
    assert float(optimiser.state[weight]["exp_avg"]) == pytest.approx(1.1, rel=0.04)
    assert float(optimiser.state[weight]["exp_avg_sq"]) == pytest.approx(1.21, rel=0.08)


def test_a_sum_of_micro_batches_moves_masters_like_its_float32_sum(kernels: str) -> None:
    model, optimiser = masters()
    for parameter, first, second in zip(model.parameters(), gradients(0), gradients(1), strict=True):
        (parameter * first).sum().backward()
        (parameter * second).sum().backward()
    assert [x.dtype for x in optimiser.gradients.values()] == [torch.float32] * 3
    optimiser.step()
    for weight, first, second in zip(model.parameters(), gradients(0), gradients(1), strict=True):
        mean = optimiser.state[weight]["exp_avg"].float()
        torch.testing.assert_close(mean, 0.1 * (first.float() + second.float()), rtol=2**-8, atol=1e-6)
    assert not optimiser.gradients


def test_what_has_no_gradient_stays_where_it_is(kernels: str) -> None:
    model, optimiser = masters()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    (model.weights[1] * 3.0).sum().backward()
    optimiser.step()
    assert [torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True)] == [True, False, True]
    assert list(optimiser.state) == [model.weights[1]]


def test_a_checkpoint_of_either_form_goes_on_in_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimiser = masters()
    train(model, optimiser, range(3), 1.0)
    saved = {name: tensor.clone() for name, tensor in training_tensors(model, optimiser).items()}
    train(model, optimiser, range(3, 6), 1.0)
    with monkeypatch.context() as patch:
        patch.setenv("COGITATE_NATIVE", "0")
        native_library.cache_clear()
        again, plain = masters()
        restore_training_tensors(again, plain, saved, Path())
        train(again, plain, range(3, 6), 1.0)
    native_library.cache_clear()
    after, expected = training_tensors(again, plain), training_tensors(model, optimiser)
    assert after.keys() == expected.keys()
    for name, tensor in expected.items():
        if name.startswith("optimiser"):  # moments round by 2^-8, a step by as much of it
            torch.testing.assert_close(after[name], tensor, rtol=1e-2, atol=1e-4)
    for (name, one), other in zip(model.named_parameters(), again.parameters(), strict=True):
        pair = master_of(one.detach(), optimiser.remainders[name]), master_of(other.detach(), plain.remainders[name])
        torch.testing.assert_close(*pair, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")
def test_every_run_gives_the_same_bytes_with_any_number_of_threads() -> None:
    def moved(threads: int) -> list[Tensor]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        model, optimiser = masters()
        norms = train(model, optimiser, range(2), 1.0)
        torch.set_num_threads(before)
        return [torch.tensor(norms), *(tensor.clone() for tensor in training_tensors(model, optimiser).values())]

    runs = [moved(threads) for threads in (1, 2, 2)]
    assert all(torch.equal(one, other) for run in runs[1:] for one, other in zip(runs[0], run, strict=True))


def test_float32_moments_of_a_checkpoint_are_rounded_and_gone_on_with(kernels: str) -> None:
    model, optimiser = masters()
    train(model, optimiser, range(2), 1.0)
    saved = training_tensors(model, optimiser)
    wide = {name: tensor.float() if ".exp_avg" in name else tensor.clone() for name, tensor in saved.items()}
    train(model, optimiser, range(2, 4), 1.0)
    again, other = masters()
    restore_training_tensors(again, other, wide, Path())
    train(again, other, range(2, 4), 1.0)
    after = training_tensors(again, other)
    assert all(torch.equal(after[name], tensor) for name, tensor in training_tensors(model, optimiser).items())


@pytest.mark.parametrize("ours_first", [True, False])
def test_the_step_in_float32_is_that_of_pytorch_to_the_bit_before_and_after_a_checkpoint(ours_first: bool) -> None:
    def trained(changes: bool) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(40, 30), nn.Linear(30, 7))
        ours = make_adamw(model, 1e-2, 0.1)
        theirs = torch.optim.AdamW(ours.param_groups, betas=BETAS, fused=True)
        optimiser, other = (ours, theirs) if ours_first else (theirs, ours)
        for step in range(6):
            if changes and step == 3:
                other.load_state_dict(optimiser.state_dict())
                optimiser = other
            model(torch.randn(5, 40)).square().sum().backward()
            if step % 2:
                model[1].bias.grad = None  # what has no gradient stays where it is
            optimiser.step()
            optimiser.zero_grad()
        return [*model.parameters(), *(x for state in optimiser.state.values() for x in state.values())]

    for one, other in zip(trained(False), trained(True), strict=True):
        assert torch.equal(one, other)


def test_other_optimisers_and_variants_take_their_own_step() -> None:
    master = nn.Parameter(torch.ones(3))
    assert is_adamw(torch.optim.AdamW([master]))
    assert not is_adamw(torch.optim.AdamW([master], amsgrad=True))
    assert not is_adamw(torch.optim.Adam([master]))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_norm_is_of_gradients_of_any_strides(dtype: torch.dtype) -> None:
    gradient = torch.arange(1, 31).view(5, 6).to(dtype)
    assert norm_of([gradient]) == norm_of([gradient.t()]) == pytest.approx(9455**0.5)


@pytest.mark.usefixtures("kernels")
def test_one_step_by_hand() -> None:
    """From 0 moments the step is rate * gradient / |gradient|, after the decay; 2 + 2^-9 lies between two bfloat16s."""
    weight, remainder = nn.Parameter(torch.tensor([2.0], dtype=torch.bfloat16)), torch.tensor([2**13], dtype=torch.int16)
    assert float(master_of(weight.detach(), remainder)) == 2.0 + 2**-9
    optimiser = torch.optim.AdamW([weight], lr=0.25, betas=(0.9, 0.95), eps=0.0, weight_decay=0.5)
    adamw_step(optimiser, {weight: (torch.tensor([-8.0]), remainder)}, 0.5)
    master = (2.0 + 2**-9) * (1 - 0.25 * 0.5) + 0.25
    assert float(master_of(weight.detach(), remainder)) == pytest.approx(master, abs=1e-6)
    assert float(weight.detach()) == 2.0
    assert float(optimiser.state[weight]["exp_avg"]) == pytest.approx(-0.4, rel=2**-8)
    assert float(optimiser.state[weight]["exp_avg_sq"]) == pytest.approx(0.8, rel=2**-8)


def test_a_weight_and_its_remainder_are_every_float32_number_but_rounded_to_nearest() -> None:
    torch.manual_seed(0)
    edges = torch.tensor([0.0, -0.0, 1.0, -1.0, 1e-40, -1e-40, 3e38, -3e38, float("inf"), -float("inf"), 2**-126])
    ties = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8])
    master = torch.cat([edges, ties, torch.randn(100_000), torch.randn(1000) * 1e-38])
    weight, remainder = torch.zeros(len(master), dtype=torch.bfloat16), torch.zeros(len(master), dtype=torch.int16)
    set_master(weight, remainder, master)
    assert torch.equal(master_of(weight, remainder).view(torch.int32), master.view(torch.int32))  # bits: -0 is not 0
    assert weight[len(edges) :][:3].tolist() == [1 + 2**-7, 1 + 2**-6, -1 - 2**-7]  # ties away from zero
    tied = remainder == -(2**15)
    assert torch.equal(weight[~tied], master.bfloat16()[~tied])


@pytest.mark.usefixtures("kernels")
def test_a_step_of_rate_0_leaves_every_master_as_it_is() -> None:
    torch.manual_seed(1)
    master = torch.randn(1003)
    weight, remainder = nn.Parameter(torch.zeros(1003, dtype=torch.bfloat16)), torch.zeros(1003, dtype=torch.int16)
    set_master(weight.detach(), remainder, master)
    before = weight.detach().clone()
    adamw_step(torch.optim.AdamW([weight], lr=0.0), {weight: (torch.randn(1003), remainder)}, 1.0)
    assert torch.equal(master_of(weight.detach(), remainder), master)
    assert torch.equal(weight, before)


def test_parameters_that_are_moved_as_one_have_the_bits_of_those_moved_one_by_one() -> None:
    def moved() -> list[Moved]:
        generator = torch.Generator().manual_seed(3)

        def numbers(shape: tuple[int, ...]) -> Tensor:
            return torch.randn(shape, generator=generator)

        made = []
        for shape in SHAPES:
            weight, remainder = numbers(shape).bfloat16(), torch.empty(shape, dtype=torch.int16)
            set_master(weight, remainder, numbers(shape))
            moments = {MOMENTS[0]: numbers(shape).bfloat16(), MOMENTS[1]: numbers(shape).square().bfloat16()}
            gradient = numbers(shape).bfloat16() if len(shape) > 1 else numbers(shape)
            made.append(Moved(weight, remainder, gradient, {"step": torch.tensor(3.0), **moments}))
        return made

    group = {"betas": (0.9, 0.95), "lr": 1e-2, "weight_decay": 0.1, "eps": 1e-8}
    one_by_one, together = moved(), moved()
    for each in one_by_one:
        move(each.weight, each.remainder, each.gradient, 0.7, each.state, group)
    for run in runs_of([each.weight.numel() for each in together], SHAPES[0][0] * SHAPES[0][1] + 40):
        move_together(together[run], 0.7, group)
    for one, other in zip(one_by_one, together, strict=True):
        assert torch.equal(one.weight, other.weight)
        assert torch.equal(one.remainder, other.remainder)
        assert all(torch.equal(one.state[key], other.state[key]) for key in MOMENTS)
