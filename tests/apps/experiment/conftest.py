"""A base model for small experiments, and the results of a made-up one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cogitate.apps.experiment.definition import Experiment, ExperimentConfig
from cogitate.apps.experiment.results import Outcome, Results, results_of
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.tokenizer.bpe import Tokenizer
from tests.apps.synthetic_run import write_run
from tests.conftest import micro_config

CONFIG = {
    "recipe": "<i>tiny</i>", "seeds": [0, 1], "budget": {"stage": "r1_zero", "tokens": 600_000},
    "measure": ["pass@1", "thinking_tokens", "log.entropy"], "variants": {"a": {}, "b": {"r1_zero.method": "dapo"}},
    "claims": [
        {"metric": "pass@1", "greater": "b", "than": "a", "text": "b <b>wins</b>"},
        {"metric": "log.entropy", "greater": "a", "than": "b"},
    ],
}  # fmt: skip


@pytest.fixture(scope="session")
def base(micro_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, and room for the prompts of an evaluation."""
    directory = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    config = micro_config(micro_tokenizer.vocab_size).model_copy(update={"max_position_embeddings": 1024})
    save_model(Transformer(config), directory)
    micro_tokenizer.save(directory)
    return directory


@pytest.fixture
def results(tmp_path: Path) -> Results:
    outcomes = []
    for number, (variant, seed) in enumerate((v, s) for v in "ab" for s in (0, 1)):
        run = write_run(tmp_path / variant / f"seed-{seed}", seed=number)
        outcomes.append(Outcome.of(variant, seed, run, None))
    return results_of(Experiment("made_up", ExperimentConfig.model_validate(CONFIG), {}), outcomes)
