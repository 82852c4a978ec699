"""Tokenizers in GGUF files that we write: read again they split as before; what llama.cpp cannot do is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, normalizers

from cogitate.apps.export import export_as_gguf, read_tokenizer_to_write
from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.header import read_header
from cogitate.model.files.gguf.model import import_gguf
from cogitate.model.files.gguf.write_tokenizer import tokenizer_fields
from cogitate.model.files.hf import save_model
from cogitate.tokenizer.bpe import Tokenizer as OurTokenizer
from cogitate.tokenizer.bpe import train_tokenizer
from tests.model.files.gguf.small_files import random_model, small_config
from tests.model.files.gguf.splitting import CORPUS, TEMPLATE, WAYS, save_tokenizer, train_splitting

TEXTS = (
    "it's 12345 o'clock, WE'LL see",
    "  two  spaces\n\n\ttab \r\n end ",
    "猫坐在垫子上。naïve café",
    "1+2=3; x**2",
    "",
    " ",
)


def fields_of(directory: Path, rows: int = 400) -> dict[str, Any]:
    return tokenizer_fields(read_tokenizer_to_write(directory), rows)


def changed(tokenizer: Tokenizer, **model: Any) -> Tokenizer:
    """With other keys of its BPE."""
    table = json.loads(tokenizer.to_str())
    table["model"] |= model
    return Tokenizer.from_str(json.dumps(table))


@pytest.mark.parametrize("way", WAYS)
def test_a_tokenizer_is_read_again_as_it_was(way: str, tmp_path: Path) -> None:
    tokenizer = train_splitting(way)
    save_model(random_model(small_config("llama", tokenizer.get_vocab_size() + 3)), tmp_path / "model")
    save_tokenizer(tokenizer, tmp_path / "model")
    export_as_gguf(tmp_path / "model", tmp_path / "m.gguf", "f16", say=lambda line: None)
    assert read_header(tmp_path / "m.gguf")[0]["tokenizer.ggml.pre"] == way
    import_gguf(tmp_path / "m.gguf", tmp_path / "again")
    before, after = (OurTokenizer.load(tmp_path / name) for name in ("model", "again"))
    for text in TEXTS:
        assert after.encode(text) == before.encode(text) == tokenizer.encode(text).ids, text
    assert after.end_ids == before.end_ids
    assert after.prefix_ids == before.prefix_ids == ()
    assert {t: after.control_ids[t] for t in before.control_ids} == before.control_ids
    settings = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())
    assert settings["chat_template"] == TEMPLATE
    assert settings["bos_token"] == "<|endoftext|>"


def test_each_token_has_its_type_and_spare_rows_have_tokens_that_are_never_used(tmp_path: Path) -> None:
    tokenizer = train_splitting("smollm")
    save_tokenizer(tokenizer, tmp_path)
    count = tokenizer.get_vocab_size()
    fields = fields_of(tmp_path, count + 2)
    types = dict(zip(fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"].tolist(), strict=True))
    assert (types["<|im_end|>"], types["<think>"], types["a"], types[f"[PAD{count}]"]) == (3, 4, 1, 5)
    assert isinstance(fields["tokenizer.ggml.token_type"], np.ndarray)
    assert fields["tokenizer.ggml.add_bos_token"] is False
    assert fields["tokenizer.ggml.merges"][0].count(" ") == 1


def test_every_end_token_is_named_and_a_text_begins_with_bos_where_the_tokenizer_says_so(tmp_path: Path) -> None:
    tokenizer = train_splitting("smollm")
    save_tokenizer(tokenizer, tmp_path, add_bos_token=True, pad_token="<|im_start|>")
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2]}))
    fields = fields_of(tmp_path)
    names = ("bos", "eos", "eot", "padding")
    assert [fields[f"tokenizer.ggml.{name}_token_id"] for name in names] == [0, 2, 0, 1]
    assert "tokenizer.ggml.eom_token_id" not in fields
    assert fields["tokenizer.ggml.add_bos_token"] is True
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 1, 3, 4]}))
    with pytest.raises(CheckpointError, match="5 tokens end a completion: GGUF names 3"):
        fields_of(tmp_path)


def test_a_padding_token_without_a_row_is_left_out(tmp_path: Path) -> None:
    tokenizer = train_splitting("smollm")
    rows = tokenizer.get_vocab_size()
    tokenizer.add_tokens([AddedToken("<|pad|>", special=True)])
    save_tokenizer(tokenizer, tmp_path, pad_token="<|pad|>")
    fields = fields_of(tmp_path, rows)
    assert len(fields["tokenizer.ggml.tokens"]) == rows
    assert "tokenizer.ggml.padding_token_id" not in fields


def test_the_tokenizer_of_the_tiny_recipe_is_refused(tmp_path: Path) -> None:
    """Its pieces are its own: " + " before a number is one, a tag is one."""
    train_tokenizer(CORPUS, 300).save(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"tokenizer.json: llama.cpp has no pre-tokenizer that splits text as this one does"
    ):
        fields_of(tmp_path)


def test_what_llama_cpp_does_otherwise_is_refused(tmp_path: Path) -> None:
    def refused(tokenizer: Tokenizer, message: str) -> None:
        save_tokenizer(tokenizer, tmp_path)
        with pytest.raises(CheckpointError, match=message):
            fields_of(tmp_path)

    llama3, smollm = train_splitting("llama-bpe"), train_splitting("smollm")
    refused(
        changed(llama3, ignore_merges=False), "ignore_merges = False: with pre-tokenizer llama-bpe llama.cpp does the opposite"
    )
    refused(changed(smollm, ignore_merges=True), "ignore_merges = True: with pre-tokenizer smollm")
    refused(changed(smollm, byte_fallback=True), "its BPE has byte_fallback: only byte-level BPE")
    lower = train_splitting("smollm")
    lower.normalizer = normalizers.Lowercase()
    refused(lower, "normalizer Lowercase: llama.cpp leaves text as it is")
    greedy = train_splitting("smollm")
    greedy.add_tokens([AddedToken("<|wide|>", special=True, rstrip=True)])
    refused(greedy, r"token '<\|wide\|>' has rstrip, which llama.cpp does not do")


def test_a_line_says_that_llama_cpp_does_not_normalise(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_tokenizer(train_splitting("smollm"), tmp_path)
    fields_of(tmp_path)
    assert not caplog.text
    save_tokenizer(train_splitting("qwen2"), tmp_path)
    fields_of(tmp_path)
    assert "llama.cpp does not normalise text to NFC" in caplog.text
