"""Merging two models: between them, of one kind, in our format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cogitate.config import StageRow
from cogitate.errors import ConfigError
from cogitate.model.files.hf import load_config, load_model, save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.recipe import graph_of
from cogitate.recipe.settings import make_config
from cogitate.recipe.stage import StageContext
from cogitate.recipe.stages.long2short import merge
from cogitate.runtime import MetricsLog
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Artifact

ROWS = [
    StageRow(name="base", kind="pretrain"), StageRow(name="other", kind="pretrain"),
    StageRow(name="merged", kind="merge", needs=["base", "other"]),
]  # fmt: skip


def merged(first: Path, second: Path, out: Path, share: float = 0.5) -> dict[str, object]:
    table = {"graph": "own", "stages": [row.model_dump() for row in ROWS], "merged": {"share": share}}
    config = make_config(table)
    out.mkdir()
    context = StageContext(
        "merged", graph_of(config), LocalBackend(config), MetricsLog(out / "metrics.jsonl"), out, NullProgress()
    )
    return merge.run(config, {"base": Artifact("base", "", first), "other": Artifact("other", "", second)}, out, context)


@pytest.fixture
def second(digit_model: Path, tmp_path: Path) -> Path:
    """A model of the same kind with weights of its own."""
    torch.manual_seed(5)
    save_model(Transformer(load_config(digit_model)), tmp_path / "second")
    Tokenizer.load(digit_model).save(tmp_path / "second")
    return tmp_path / "second"


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_every_weight_lies_between_the_two(digit_model: Path, second: Path, tmp_path: Path, share: float) -> None:
    summary = merged(digit_model, second, tmp_path / "out", share)
    ours, theirs, between = (load_model(path).state_dict() for path in (digit_model, second, tmp_path / "out"))
    for name, tensor in between.items():
        torch.testing.assert_close(
            tensor, (share * ours[name] + (1 - share) * theirs[name]).to(tensor.dtype), rtol=0, atol=1e-6
        )
    squares = sum(float((ours[name] - theirs[name]).double().square().sum()) for name in ours)
    assert summary["distance"] == pytest.approx(squares**0.5)
    assert Tokenizer.load(tmp_path / "out").encode("Digit: 7") == Tokenizer.load(digit_model).encode("Digit: 7")


def test_a_model_merged_with_itself_is_itself(digit_model: Path, tmp_path: Path) -> None:
    assert merged(digit_model, digit_model, tmp_path / "out")["distance"] == 0
    ours, between = (load_model(path).state_dict() for path in (digit_model, tmp_path / "out"))
    assert all(torch.equal(tensor, between[name]) for name, tensor in ours.items())


def test_models_of_other_shapes_or_tokenizers_are_refused(digit_model: Path, second: Path, tmp_path: Path) -> None:
    wide = load_config(digit_model).model_copy(update={"intermediate_size": 96})
    save_model(Transformer(wide), tmp_path / "wide")
    Tokenizer.load(digit_model).save(tmp_path / "wide")
    with pytest.raises(ConfigError, match=r"base and other cannot be merged: intermediate_size = .* and 96"):
        merged(digit_model, tmp_path / "wide", tmp_path / "out")
    tokenizer = second / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes() + b" ")
    with pytest.raises(ConfigError, match="base and other cannot be merged: their tokenizers differ"):
        merged(digit_model, second, tmp_path / "out2")
