"""Reward models and critics on disk: an ordinary model directory with `value_head.safetensors` beside the weights.

The tensors are called as `transformers` calls those of its sequence classifiers (`score.weight`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cogitate.errors import CheckpointError
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.value_head import ValueModel
from cogitate.runtime import atomic_write

HEAD = "value_head.safetensors"


def save_value_model(model: ValueModel, directory: Path) -> None:
    """The trunk as a Hugging Face directory and the head beside it; config.json is written last."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {f"score.{name}": tensor.detach().cpu().contiguous() for name, tensor in model.score.named_parameters()}
    with atomic_write(directory / HEAD) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    save_model(model.trunk, directory)


def load_value_model(directory: Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> ValueModel:
    """The inverse of save_value_model; a head without a bias (`score.weight` alone) is one whose bias is 0.

    Raises:
        CheckpointError: the directory has no head, or one that does not fit its trunk; or as in load_model.
    """
    path = Path(directory) / HEAD
    if not path.is_file():
        raise CheckpointError(f"{directory}: no {HEAD}: this is no reward model (the stage reward_models makes them)")
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file: {error}") from error
    model = ValueModel(load_model(directory, dtype=dtype, device=device))
    wanted = {"score.weight": tuple(model.score.weight.shape), "score.bias": (1,)}
    tensors.setdefault("score.bias", torch.zeros(1))
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != wanted:
        raise CheckpointError(f"{path}: has {found}, a head of this trunk has {wanted}")
    with torch.no_grad():
        model.score.weight.copy_(tensors["score.weight"])
        model.score.bias.copy_(tensors["score.bias"])
    return model
