"""Training state on disk: what a loop needs to go on bit for bit, in safetensors and JSON.

A checkpoint is a directory `step-000120` that is renamed into place when it is whole, so a kill at any byte leaves either
the old checkpoint or the new one. No pickle is written or read.

Several ranks write a file each, in which a sharded tensor is this rank's rows of it. Any number of ranks reads the files of any
other number.
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
from cogitate.train.sharded.parts import Pieces, is_sharded, local, part_like
from cogitate.train.sharded.ranks import ALONE, Ranks

STATE, TENSORS = "state.json", "tensors.safetensors"
OF_RANK, OF_RANKS = "tensors-{rank:05d}-of-{count:05d}.safetensors", "tensors-*-of-*.safetensors"


def restore(learner: Learner, directory: Path) -> dict[str, Any]:
    """Load the newest checkpoint into a learner; returns the loop's state, with its `step`, or {} where there is none."""
    newest = latest_checkpoint(directory)
    return {} if newest is None else learner.load(newest)


def save_training(
    directory: Path, step: int, model: nn.Module, optimiser: Optimiser, state: Mapping[str, Any], ranks: Ranks = ALONE
) -> None:
    """A checkpoint of one model and its optimiser."""
    save_checkpoint(directory, step, training_tensors(model, optimiser), state, ranks)


def load_training(path: Path, model: nn.Module, optimiser: Optimiser) -> dict[str, Any]:
    """The inverse of `save_training`, in place; returns the state with its `step`."""
    tensors, state = load_checkpoint(path)
    restore_training_tensors(model, optimiser, tensors, path)
    return state


def save_checkpoint(
    directory: Path, step: int, tensors: dict[str, Tensor], state: Mapping[str, Any], ranks: Ranks = ALONE
) -> Path:
    """Write `directory/step-NNNNNN` and drop all older checkpoints. All ranks call it and see one directory.

    Args:
        step: the next step to do after loading.
        tensors: everything large: weights, optimiser moments, random states.
        state: everything small and JSON-ready.
    """
    final = directory / f"step-{step:06d}"
    building = directory / f"{final.name}.tmp"
    if ranks.rank == 0:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
    ranks.wait()
    file = TENSORS if ranks.count == 1 else OF_RANK.format(rank=ranks.rank, count=ranks.count)
    mine = {name: tensor for name, tensor in tensors.items() if ranks.rank == 0 or is_sharded(tensor)}
    with atomic_write(building / file) as temporary:
        save_file({name: local(tensor).cpu().contiguous() for name, tensor in mine.items()}, temporary)
    ranks.wait()
    if ranks.rank == 0:
        write_json(building / STATE, {"step": step, **state})
        if final.exists():  # the same step written again after a resume from an older checkpoint
            shutil.rmtree(final)
        building.rename(final)
        fsync_directory(directory)
        for old in directory.glob("step-*"):
            if old.suffix == ".tmp" or step_of(old) < step:
                shutil.rmtree(old)
    ranks.wait()
    return final


def latest_checkpoint(directory: Path) -> Path | None:
    """The newest whole checkpoint, or None."""
    return max((path for path in directory.glob("step-*") if path.suffix != ".tmp"), default=None, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step in a checkpoint's name; names alone would put step-1000000 before step-999999."""
    return int(checkpoint.name.removeprefix("step-"))


def load_checkpoint(path: Path) -> tuple[Pieces, dict[str, Any]]:
    """The tensors and the state (with its `step`) of a checkpoint.

    Raises:
        CheckpointError: a file is missing or damaged; names it.
    """
    pieces: dict[str, list[Tensor]] = {}
    try:
        for file in files_of_ranks(path) or [path / TENSORS]:
            for name, tensor in load_file(file).items():
                pieces.setdefault(name, []).append(tensor)
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: unreadable checkpoint ({error}); delete it to start the stage again") from error
    return Pieces(pieces), state


def files_of_ranks(path: Path) -> list[Path]:
    """The files of a checkpoint that several ranks have written, in their order; [] of one rank's."""
    there = sorted(path.glob(OF_RANKS))
    count = len(there) and int(there[0].stem.rpartition("-")[2])
    wanted = [path / OF_RANK.format(rank=rank, count=count) for rank in range(count)]
    if there != wanted:
        raise OSError(f"{len(there)} files of {count} ranks")
    return there


def training_tensors(model: nn.Module, optimiser: Optimiser) -> dict[str, Tensor]:
    """Weights, buffers, what the weights lack of their masters and the optimiser's moments, each in its type.

    Their names are `model.NAME`, `remainder.NAME` and `optimiser.KEY.NAME`. What belongs to a sharded parameter is
    sharded as it is, but for numbers.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    parameters = dict(model.named_parameters())
    if isinstance(optimiser, MasterWeights):
        for name, remainder in optimiser.remainders.items():
            tensors[f"remainder.{name}"] = sharded_as(parameters[name], remainder)
    names: dict[Tensor, str] = {parameter: name for name, parameter in parameters.items()}
    for parameter, moments in optimiser.state.items():
        for key, value in moments.items():
            tensors[f"optimiser.{key}.{names[parameter]}"] = sharded_as(parameter, value)
    return tensors


def sharded_as(parameter: Tensor, tensor: Tensor) -> Tensor:
    """This process's part of a tensor of the same shape as one that says what part it is of."""
    if is_sharded(parameter) and not is_sharded(tensor) and tensor.dim() > 0:
        return part_like(parameter, tensor)
    return tensor


@torch.no_grad()
def restore_training_tensors(model: nn.Module, optimiser: Optimiser, tensors: Mapping[str, Tensor], path: Path) -> None:
    """The inverse of `training_tensors`, in place.

    Args:
        path: the checkpoint they are of, which an error names.

    Raises:
        CheckpointError: it is that of a model of another type.
    """
    remainders = optimiser.remainders if isinstance(optimiser, MasterWeights) else {}
    if {f"remainder.{name}" for name in remainders} != {name for name in tensors if name.startswith("remainder.")}:
        raise CheckpointError(f"{path}: of another type of weights, or of an older version; delete it to start the stage again")
    stored = tensors if isinstance(tensors, Pieces) else Pieces({name: [tensor] for name, tensor in tensors.items()})
    load_weights(model, stored.below("model."))
    parameters = dict(model.named_parameters())
    for name, remainder in remainders.items():
        remainder.copy_(local(stored.like(f"remainder.{name}", parameters[name])))
    fused = (
        set()
        if isinstance(optimiser, MasterWeights)
        else {parameter for group in optimiser.param_groups if group.get("fused") for parameter in group["params"]}
    )
    optimiser.state.clear()
    for key in stored:
        if key.startswith("optimiser."):
            _, moment, name = key.split(".", 2)
            parameter = parameters[name]
            tensor = stored[key] if moment == "step" else stored.like(key, parameter)
            counted_here = moment == "step" and parameter not in fused  # PyTorch's fused steps count on the device, ours do not
            moved = tensor if counted_here else tensor.to(parameter.device)
            optimiser.state[parameter][moment] = moved if parameter in fused else local(moved)


def load_weights(model: nn.Module, stored: Pieces) -> None:
    """Replace a model's weights by those of the same names in place, by a rank's parts of them where it has parts.

    Raises:
        RuntimeError: names or shapes are others.
    """
    state = model.state_dict()
    model.load_state_dict({name: stored.like(name, state[name]) if name in state else stored[name] for name in stored})
