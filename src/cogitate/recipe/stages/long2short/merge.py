"""merge: the average of two models' weights, which needs no training (Kimi k1.5, arXiv:2501.12599, section 2.4).

The first input's chat template and tokenizer are the merged model's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cogitate.config import Config, MergeConfig
from cogitate.errors import ConfigError
from cogitate.model.files.hf import load_config, load_model, save_model
from cogitate.recipe.stage import Inputs, StageContext
from cogitate.tokenizer.bpe import Tokenizer


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    """
    Raises:
        ConfigError: the models are of different shapes or tokenizers.
    """
    (first_name, first), (second_name, second) = inputs.items()
    refuse_strangers(first_name, first.path, second_name, second.path)
    settings = config.section(context.stage, MergeConfig)
    dtype = getattr(torch, config.runtime.dtype)
    merged, other = load_model(first.path, dtype=dtype), load_model(second.path, dtype=dtype)
    context.begin(1)
    theirs, distance = other.state_dict(), 0.0
    with torch.no_grad():
        for name, tensor in merged.state_dict().items():
            if tensor.is_floating_point():
                away = theirs[name].double() - tensor.double()
                distance += float(away.square().sum())
                tensor.copy_(tensor.double() + (1 - settings.share) * away)
    save_model(merged, out)
    Tokenizer.load(first.path).save(out)
    context.metrics.truncate(0)
    context.metrics.write({"step": 0, "distance": distance**0.5})
    return {"shares": {first_name: settings.share, second_name: 1 - settings.share}, "distance": distance**0.5}


def refuse_strangers(first_name: str, first: Path, second_name: str, second: Path) -> None:
    """Refuse models whose weights do not mean the same."""
    ours, theirs = (load_config(path).to_dict() for path in (first, second))
    unlike = [key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key)]
    if unlike:
        values = ", ".join(f"{key} = {ours.get(key)} and {theirs.get(key)}" for key in unlike[:3])
        raise ConfigError(f"{first_name} and {second_name} cannot be merged: {values}; give two models made from one")
    if (first / "tokenizer.json").read_bytes() != (second / "tokenizer.json").read_bytes():
        raise ConfigError(
            f"{first_name} and {second_name} cannot be merged: their tokenizers differ; give two models made from one"
        )
