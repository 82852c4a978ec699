"""A base model for small experiments: random weights, and room for the prompts of an evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.tokenizer.bpe import Tokenizer
from tests.conftest import micro_config


@pytest.fixture(scope="session")
def base(micro_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    config = micro_config(micro_tokenizer.vocab_size).model_copy(update={"max_position_embeddings": 1024})
    save_model(Transformer(config), directory)
    micro_tokenizer.save(directory)
    return directory
