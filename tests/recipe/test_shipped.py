"""The base model that ships with the package is what the tiny recipe asks for, and does what its manifest says."""

from itertools import islice

import pytest
import torch

from cogitate.config import load_config
from cogitate.model.files.hf import load_model
from cogitate.recipe.context import Silence, StageContext
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.recipe import get_graph
from cogitate.recipe.stages.pretrain import run
from cogitate.recipe.stages.pretraining import pack
from cogitate.recipe.store import SHIPPED, find_shipped, identify, load_manifest
from cogitate.runtime import MetricsLog, derive_seed
from cogitate.tasks.corpus.documents import documents
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.supervised import supervised_loss

BASE = SHIPPED / "base"


def test_the_shipped_base_is_the_one_the_tiny_recipe_asks_for() -> None:
    config = load_config("tiny")
    stage = next(stage for stage in get_graph(config.graph) if stage.name == "base")
    assert find_shipped(identify(stage, config, {})) == BASE


def test_the_shipped_base_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in BASE.rglob("*")) < 10_000_000


def test_the_shipped_weights_have_the_held_out_loss_of_the_manifest() -> None:
    config = load_config("tiny")
    tokenizer = Tokenizer.load(BASE)
    texts = list(islice(documents(derive_seed(config.base.seed, "held_out")), config.base.held_out_documents))
    held_out = pack(tokenizer, texts, config.base.row_tokens)
    model = load_model(BASE, dtype=torch.float32)
    loss = supervised_loss(model, held_out, config.base.micro_rows)
    assert loss == pytest.approx(load_manifest(BASE)["summary"]["held_out_loss"], abs=0.01)  # bf16 rounding of the weights


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_pretraining_again_gives_the_same_held_out_loss_within_noise(tmp_path) -> None:
    config = load_config("tiny")
    (tmp_path / "checkpoint").mkdir()
    context = StageContext(
        "base", LocalBackend(config), MetricsLog(tmp_path / "metrics.jsonl"), tmp_path / "checkpoint", Silence()
    )
    summary = run(config, {}, tmp_path, context)
    assert summary["held_out_loss"] == pytest.approx(load_manifest(BASE)["summary"]["held_out_loss"], abs=0.02)
