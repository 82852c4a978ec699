"""A model directory written anew: another type of weights, adapters merged, FP8 dequantised, the released layout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from cogitate.model.files.hf import load_model, save_model

Dtype = Literal["bfloat16", "float16", "float32"]
DTYPES: dict[Dtype, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
TEXT_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)


def export_model(source: Path, out: Path, *, dtype: Dtype = "bfloat16", released_layout: bool = False) -> None:
    """Read a model directory of any supported family and write one that `transformers`, vLLM and Cogitate read.

    Args:
        released_layout: number the MTP block as one more layer, as DeepSeek publishes it (see save_model).

    Raises:
        CheckpointError: as load_model.
    """
    model = load_model(source, dtype=DTYPES[dtype])
    files = [source / name for name in TEXT_FILES if (source / name).is_file()]
    save_model(model, out, tokenizer_files=files, released_layout=released_layout)
