"""The base model that ships with the package is what the tiny recipe asks for, and does what its manifest says."""

from itertools import islice
from pathlib import Path

import pytest
import torch

from cogitate.config import PretrainConfig
from cogitate.model.files.hf import load_model
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.recipe import R1, get_graph
from cogitate.recipe.run_directory.store import SHIPPED, find_shipped, identify, load_manifest
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import StageContext, find
from cogitate.recipe.stages.pretrain import pack, run
from cogitate.runtime import MetricsLog, derive_seed
from cogitate.tasks.corpus.documents import documents
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.learners.supervised import supervised_loss

BASE = SHIPPED / "base"


def test_the_shipped_base_is_the_one_the_tiny_recipe_asks_for() -> None:
    config = load_recipe("tiny")
    graph = get_graph(config.graph)
    assert find_shipped(identify(find(graph, "base"), graph, config, {})) == BASE


def test_the_shipped_base_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in BASE.rglob("*")) < 10_000_000


def test_the_shipped_weights_have_the_held_out_loss_of_the_manifest() -> None:
    config = load_recipe("tiny")
    tokenizer = Tokenizer.load(BASE)
    settings = config.section("base", PretrainConfig)
    texts = list(islice(documents(derive_seed(settings.seed, "held_out")), settings.held_out_documents))
    held_out = pack(tokenizer, texts, settings.row_tokens)
    model = load_model(BASE, dtype=torch.float32)
    loss = supervised_loss(model, held_out, settings.micro_rows)
    assert loss == pytest.approx(load_manifest(BASE)["summary"]["held_out_loss"], abs=0.01)  # bf16 rounding of the weights


@pytest.mark.release
@pytest.mark.timeout(7200)
def test_pretraining_again_gives_the_same_held_out_loss_within_noise(tmp_path: Path) -> None:
    config = load_recipe("tiny")
    (tmp_path / "checkpoint").mkdir()
    context = StageContext(
        "base", R1, LocalBackend(config), MetricsLog(tmp_path / "metrics.jsonl"), tmp_path / "checkpoint", NullProgress()
    )
    summary = run(config, {}, tmp_path, context)
    assert summary["held_out_loss"] == pytest.approx(load_manifest(BASE)["summary"]["held_out_loss"], abs=0.02)
