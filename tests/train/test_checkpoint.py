"""Checkpoints: nothing half-written is ever chosen, and what is restored is what was saved, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from cogitate.errors import CheckpointError
from cogitate.train.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    restore_training_tensors,
    save_checkpoint,
    training_tensors,
)
from cogitate.train.optimisers.adamw import make_adamw
from cogitate.train.optimisers.master_weights import Optimiser, optimiser_for
from cogitate.train.optimisers.muon import MuonAdamW

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "open"}


def tensors_of(step: int) -> dict[str, torch.Tensor]:
    half = torch.ones(2, dtype=torch.bfloat16)
    return {"weights": torch.full((3, 5), float(step)), "scalar": torch.tensor(step), "half": half}


def test_what_is_saved_comes_back_with_its_types(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 7, tensors_of(7), {"cursor": 3, "reason": None})
    assert path == latest_checkpoint(tmp_path)
    tensors, state = load_checkpoint(path)
    assert state == {"step": 7, "cursor": 3, "reason": None}
    for name, tensor in tensors_of(7).items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype


def test_a_new_checkpoint_takes_the_place_of_older_ones(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        save_checkpoint(tmp_path, step, tensors_of(step), {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000015"]
    save_checkpoint(tmp_path, 15, tensors_of(99), {})  # the same step again
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    assert float(load_checkpoint(newest)[0]["weights"][0, 0]) == 99.0


def test_checkpoints_are_ordered_by_number_also_beyond_a_million_steps(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 999_999, tensors_of(1), {})
    save_checkpoint(tmp_path, 1_000_000, tensors_of(2), {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-1000000"]
    (tmp_path / "step-999999").mkdir()
    assert latest_checkpoint(tmp_path) == tmp_path / "step-1000000"


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    (tmp_path / "step-000005.tmp").mkdir()
    (tmp_path / "policy").mkdir()
    assert latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("damage", ["state.json", "tensors.safetensors", "cut", "not JSON", "not UTF-8"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, damage: str) -> None:
    path = save_checkpoint(tmp_path, 5, tensors_of(5), {})
    if damage == "cut":
        data = (path / "tensors.safetensors").read_bytes()
        (path / "tensors.safetensors").write_bytes(data[:-20])
    elif damage.startswith("not"):
        (path / "state.json").write_bytes(b"{" if damage == "not JSON" else b"\xff\xfe")
    else:
        (path / damage).unlink()
    with pytest.raises(CheckpointError, match=r"step-000005: unreadable checkpoint .*; delete it to start the stage again"):
        load_checkpoint(path)


def save_until_killed(directory: Path, kill_at: int) -> None:
    """Write checkpoints 1, 2, 3 and die at the n-th change on disk."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in CHANGES and str(arguments[0]).startswith(str(directory)):
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    for step in (1, 2, 3):
        save_checkpoint(directory, step, tensors_of(step), {"step_again": step})
    (directory / "done").touch()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the child only writes files, then dies
def test_a_kill_at_any_change_on_disk_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    kill_at, steps = 1, []
    while True:
        directory = tmp_path / str(kill_at)
        directory.mkdir()
        child = os.fork()
        if child == 0:
            try:
                save_until_killed(directory, kill_at)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        newest = latest_checkpoint(directory)
        steps.append(0)
        if newest is not None:
            tensors, state = load_checkpoint(newest)
            assert state == {"step": state["step"], "step_again": state["step"]}
            assert torch.equal(tensors["weights"], tensors_of(state["step"])["weights"])
            steps[-1] = state["step"]
        save_checkpoint(directory, 9, tensors_of(9), {})  # and what was left lying about is in nobody's way
        assert {path.name for path in directory.iterdir()} <= {"step-000009", "done"}
        if not os.WIFSIGNALED(status):
            break
        kill_at += 1
    assert steps == sorted(steps)  # the later the kill, the newer the checkpoint
    assert set(steps) == {0, 1, 2, 3}
    assert kill_at > 20


class Network(nn.Sequential):
    moved: torch.Tensor


def network() -> Network:
    torch.manual_seed(1)
    model = Network(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    model.register_buffer("moved", torch.zeros(3))
    return model


def train(model: Network, optimiser: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        x = torch.randn(16, 6, generator=torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        (model(x) - x[:, :4]).square().mean().backward()
        optimiser.step()
        model.moved += step


@pytest.mark.parametrize("make", [make_adamw, MuonAdamW])
def test_training_goes_on_from_a_checkpoint_to_the_last_bit(tmp_path: Path, make: Callable[..., torch.optim.Optimizer]) -> None:
    whole = network()
    train(whole, make(whole, 0.01, 0.1), range(6))
    first = network()
    optimiser = make(first, 0.01, 0.1)
    train(first, optimiser, range(4))
    save_checkpoint(tmp_path, 4, training_tensors(first, optimiser), {})
    second = network()
    optimiser = make(second, 0.01, 0.1)
    train(second, optimiser, range(10, 12))  # something else before, to be forgotten
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    restore_training_tensors(second, optimiser, load_checkpoint(newest)[0], newest)
    train(second, optimiser, range(4, 6))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize(("make", "where"), [(make_adamw, "meta"), (MuonAdamW, "cpu")])
def test_the_steps_of_a_fused_optimiser_are_counted_on_the_models_device(
    tmp_path: Path, make: Callable[..., torch.optim.Optimizer], where: str
) -> None:
    """A fused step on a GPU reads its count there; Muon's own reads it here. Tensors of the meta device stand for a GPU's."""
    model = network()
    optimiser = make(model, 0.01, 0.0)
    train(model, optimiser, range(1))
    tensors = training_tensors(model, optimiser)
    elsewhere = network().to("meta")
    restored = make(elsewhere, 0.01, 0.0)
    restore_training_tensors(elsewhere, restored, tensors, tmp_path)
    steps = [moments["step"].device.type for moments in restored.state.values() if "step" in moments]
    moments = [moments["exp_avg"].device.type for moments in restored.state.values() if "exp_avg" in moments]
    assert steps
    assert set(steps) == {where}
    assert set(moments) == {"meta"}


def test_names_tell_weights_from_moments(tmp_path: Path) -> None:
    model = network()
    optimiser = make_adamw(model, 0.01, 0.0)
    train(model, optimiser, range(1))
    names = set(training_tensors(model, optimiser))
    assert {"model.0.weight", "model.moved", "optimiser.exp_avg.0.weight", "optimiser.step.2.bias"} <= names
    path = save_checkpoint(tmp_path, 1, training_tensors(model, optimiser), {})
    assert sorted(path.iterdir()) == [path / "state.json", path / "tensors.safetensors"]
    assert json.loads((path / "state.json").read_text()) == {"step": 1}


def test_a_checkpoint_of_another_type_of_weights_is_refused(tmp_path: Path) -> None:
    def trained(dtype: torch.dtype) -> tuple[nn.Module, Optimiser]:
        model = network().to(dtype)
        return model, optimiser_for(model, lambda trained: make_adamw(trained, 0.01, 0.0))

    single, half = trained(torch.float32), trained(torch.bfloat16)
    for target, tensors in ((single, training_tensors(*half)), (half, training_tensors(*single))):
        before = {name: tensor.clone() for name, tensor in target[0].state_dict().items()}
        with pytest.raises(CheckpointError, match=r"^of/bf16: of another type of weights, or of an older version; delete it"):
            restore_training_tensors(*target, tensors, Path("of/bf16"))
        assert all(torch.equal(before[name], tensor) for name, tensor in target[0].state_dict().items())
