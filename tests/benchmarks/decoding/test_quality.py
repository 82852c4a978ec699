"""Types of generation are compared by what they say of the same tokens."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.decoding.__main__ import main
from benchmarks.decoding.quality import compare, read, sampled_texts
from benchmarks.decoding.types import engine_of
from cogitate.kernels import native_library
from cogitate.model.files.hf import load_model
from cogitate.recipe.run_directory.store import SHIPPED
from cogitate.tokenizer.bpe import Tokenizer

pytestmark = pytest.mark.skipif(native_library() is None, reason="no compiler for the kernels")
BASE = SHIPPED / "base"
TEXT = "Question: What is 17 + 25?\nAnswer: 17 + 25 = 42. " * 4


@torch.no_grad()
def test_a_text_is_read_in_pieces_as_the_model_reads_it_whole() -> None:
    text = Tokenizer.load(BASE).encode(TEXT)[:90]
    model = load_model(BASE, dtype=torch.bfloat16).float()
    expected = torch.log_softmax(model.logits(model(torch.tensor([text[:-1]])))[0], dim=-1)
    got = torch.cat(list(read(engine_of(BASE, "bf16", 64), text)))
    assert got.shape == expected.shape
    assert (got - expected).abs().mean() < 0.05


def test_fewer_bits_are_farther_from_the_reference_and_the_reference_is_itself() -> None:
    prompts = [Tokenizer.load(BASE).encode(TEXT[:40])]
    texts = sampled_texts(BASE, prompts, 24)
    assert texts[0][: len(prompts[0])] == prompts[0]
    same, eight, four, both = (compare(BASE, name, texts) for name in ("bf16", "w8", "w4", "w8a8"))
    assert (same.greedy_agreement, same.gap, same.divergence) == (1, 0, 0)
    assert same.perplexity == same.reference_perplexity
    assert same.tokens == len(texts[0]) - 1
    assert 0 < eight.gap < four.gap
    assert 0 < both.gap < four.gap
    assert 0 < eight.divergence < four.divergence
    assert eight.greedy_agreement >= four.greedy_agreement


def test_every_type_is_named_with_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    types = "bf16,w8,kv8,bf16+ngram"
    main(["base", "--types", types, "--batches", "2", "--tokens", "6", "--rounds", "1", "--out", str(out)])
    found = json.loads(out.read_text())
    assert found["speed"]["2"].keys() == {"bf16", "w8", "bf16+ngram"}
    assert "kv8 is left out: cache_bits = 8: the cache of a deepseek_v3 model is latent" in capsys.readouterr().out
    assert found["quality"].keys() == {"w8"}
    assert found["speed"]["2"]["bf16"]["over_bf16"] == 1
    assert "tokens_per_step" in found["speed"]["2"]["bf16+ngram"]
