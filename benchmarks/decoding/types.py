"""The types of generation that are compared, each under its own name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_model

NEVER = -1  # an end token that is not sampled: every completion is as long as asked for
DRAFTS = 7
# name -> what an engine is made with. The first is what the others are compared with.
TYPES: dict[str, Mapping[str, int]] = {
    "bf16": {},
    "w8": {"weight_bits": 8},
    "w4": {"weight_bits": 4},
    "w8a8": {"weight_bits": 8, "activation_bits": 8},
    "w4a8": {"weight_bits": 4, "activation_bits": 8},
    "kv8": {"cache_bits": 8},
    "w8+kv8": {"weight_bits": 8, "cache_bits": 8},
    "w4+kv8": {"weight_bits": 4, "cache_bits": 8},
    "bf16+ngram": {"ngram_drafts": DRAFTS},
    "w8+ngram": {"weight_bits": 8, "ngram_drafts": DRAFTS},
    "bf16+mtp": {"speculative": True},
}
REFERENCE = "bf16"


def changes_completions(name: str) -> bool:
    """Drafts change nothing."""
    return bool({"weight_bits", "cache_bits"} & TYPES[name].keys())


def engine_of(model: Path, name: str, max_batch: int, max_context: int | None = None) -> Engine:
    """What is computed in is bfloat16; weights are rounded from what the files hold.

    Raises:
        ConfigError: the model has no such type: keys and values in 8 bits of a latent cache, drafts without an MTP block.
    """
    options = TYPES[name]
    source = load_model(model, dtype=torch.float32 if "weight_bits" in options else torch.bfloat16)
    return Engine(source, end_id=NEVER, max_batch=max_batch, max_context=max_context, dtype=torch.bfloat16, **options)  # type: ignore[arg-type]
