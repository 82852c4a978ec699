"""Training state on disk: what a loop needs to go on bit for bit, in safetensors and JSON.

A checkpoint is a directory `step-000120` that is renamed into place when it is whole, so a kill at any byte leaves either
the old checkpoint or the new one. No pickle is written or read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cogitate.backend import Learner
from cogitate.errors import CheckpointError
from cogitate.runtime import atomic_write, fsync_directory, write_json
from cogitate.train.optimisers.master_weights import MasterWeights, Optimiser

STATE, TENSORS = "state.json", "tensors.safetensors"


def restore(learner: Learner, directory: Path) -> dict[str, Any]:
    """Load the newest checkpoint into a learner; returns the loop's state, with its `step`, or {} where there is none."""
    newest = latest_checkpoint(directory)
    return {} if newest is None else learner.load(newest)


def save_training(directory: Path, step: int, model: nn.Module, optimiser: Optimiser, state: Mapping[str, Any]) -> None:
    """A checkpoint of one model and its optimiser."""
    save_checkpoint(directory, step, training_tensors(model, optimiser), state)


def load_training(path: Path, model: nn.Module, optimiser: Optimiser) -> dict[str, Any]:
    """The inverse of `save_training`, in place; returns the state with its `step`."""
    tensors, state = load_checkpoint(path)
    restore_training_tensors(model, optimiser, tensors, path)
    return state


def save_checkpoint(directory: Path, step: int, tensors: dict[str, Tensor], state: Mapping[str, Any]) -> Path:
    """Write `directory/step-NNNNNN` and drop all older checkpoints.

    Args:
        step: the next step to do after loading.
        tensors: everything large: weights, optimiser moments, random states.
        state: everything small and JSON-ready.
    """
    final = directory / f"step-{step:06d}"
    building = directory / f"{final.name}.tmp"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    with atomic_write(building / TENSORS) as temporary:
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, temporary)
    write_json(building / STATE, {"step": step, **state})
    if final.exists():  # the same step written again after a resume from an older checkpoint
        shutil.rmtree(final)
    building.rename(final)
    fsync_directory(directory)
    for old in directory.glob("step-*"):
        if old.suffix == ".tmp" or step_of(old) < step:
            shutil.rmtree(old)
    return final


def latest_checkpoint(directory: Path) -> Path | None:
    """The newest whole checkpoint, or None."""
    return max((path for path in directory.glob("step-*") if path.suffix != ".tmp"), default=None, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name; names alone would put step-1000000 before step-999999."""
    return int(checkpoint.name.removeprefix("step-"))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the state (with its `step`) of a checkpoint.

    Raises:
        CheckpointError: a file is missing or damaged; names it.
    """
    try:
        tensors = load_file(path / TENSORS)
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: unreadable checkpoint ({error}); delete it to start the stage again") from error
    return tensors, state


def training_tensors(model: nn.Module, optimiser: Optimiser) -> dict[str, Tensor]:
    """Weights, buffers, what the weights lack of their masters and the optimiser's moments, each in its type.

    Their names are `model.NAME`, `remainder.NAME` and `optimiser.KEY.NAME`.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if isinstance(optimiser, MasterWeights):
        tensors |= {f"remainder.{name}": remainder for name, remainder in optimiser.remainders.items()}
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    for parameter, moments in optimiser.state.items():
        for key, value in moments.items():
            tensors[f"optimiser.{key}.{names[parameter]}"] = value
    return tensors


@torch.no_grad()
def restore_training_tensors(model: nn.Module, optimiser: Optimiser, tensors: dict[str, Tensor], path: Path) -> None:
    """The inverse of `training_tensors`, in place.

    Args:
        path: the checkpoint they are of, which an error names.

    Raises:
        CheckpointError: it is that of a model of another type.
    """
    remainders = optimiser.remainders if isinstance(optimiser, MasterWeights) else {}
    if {f"remainder.{name}" for name in remainders} != {name for name in tensors if name.startswith("remainder.")}:
        raise CheckpointError(f"{path}: of another type of weights, or of an older version; delete it to start the stage again")
    model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
    for name, remainder in remainders.items():
        remainder.copy_(tensors[f"remainder.{name}"])
    parameters = dict(model.named_parameters())
    fused = (
        set()
        if isinstance(optimiser, MasterWeights)
        else {parameter for group in optimiser.param_groups if group.get("fused") for parameter in group["params"]}
    )
    optimiser.state.clear()
    for key, tensor in tensors.items():
        if key.startswith("optimiser."):
            _, moment, name = key.split(".", 2)
            parameter = parameters[name]
            counted_here = moment == "step" and parameter not in fused  # PyTorch's fused steps count on the device, ours do not
            optimiser.state[parameter][moment] = tensor if counted_here else tensor.to(parameter.device)
