"""The tokenizer of a GGUF file splits text as the one that it was made from."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.model import import_gguf
from cogitate.model.files.hf import load_model
from cogitate.tokenizer.bpe import Tokenizer as OurTokenizer
from tests.model.files.gguf.small_files import random_model, small_config, small_tokenizer, write_gguf


def test_the_tokenizer_splits_text_as_the_one_it_was_made_from(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    write_gguf(tmp_path / "m.gguf", random_model(small_config("llama", tokenizer.get_vocab_size())), tokenizer)
    import_gguf(tmp_path / "m.gguf", tmp_path / "out")
    again = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    for text in ("the cats sat on 1234 mats.", "  naïve\n\n猫 <|im_end|>the", "<|im_start|>"):
        assert again.encode(text).ids == tokenizer.encode(text).ids, text
        assert again.decode(again.encode("the cat 42").ids) == "the cat 42"
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert settings["eos_token"] == "<|im_end|>"
    assert settings["bos_token"] == "<|im_start|>"
    assert "messages" in settings["chat_template"]


def test_what_ends_a_text_and_what_ends_a_turn_both_end_a_completion(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    write_gguf(tmp_path / "m.gguf", random_model(small_config("llama", tokenizer.get_vocab_size())), tokenizer, turn=0)
    import_gguf(tmp_path / "m.gguf", tmp_path / "out")
    loaded = OurTokenizer.load(tmp_path / "out")
    assert loaded.end_ids == {2, 0}
    assert loaded.prefix_ids == ()  # its pre-tokenizer is not Llama's, and the file does not ask for it


def sentencepiece_pieces() -> tuple[list[str], list[float], list[int]]:
    """Llama 2's layout: unknown, begin, end, 256 bytes, then pieces by falling score; longer pieces are not always better."""
    special = ["<unk>", "<s>", "</s>"]
    byte_pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    merged = ["▁t", "he", "▁the", "at", "▁c", "▁cat", "in", "▁in", "er", "▁a", "an", "▁an", "▁▁", "1", "2", "12"]
    letters = sorted(set("▁abcdefghijklmnopqrstuvwxyz.猫"))
    tokens = [*special, *byte_pieces, *merged, *letters]
    scores = [0.0] * 259 + [-float(i) for i in range(len(merged))] + [-1000.0 - i for i in range(len(letters))]
    return tokens, scores, [2, 3, 3, *[6] * 256, *[1] * (len(merged) + len(letters))]


def sentencepiece_encode(text: str) -> list[int]:
    """llama.cpp's algorithm, written down: join the neighbours whose union has the best score, leftmost first; spell what is
    left over in bytes."""
    tokens, scores, _ = sentencepiece_pieces()
    score = dict(zip(tokens, scores, strict=True))
    symbols = list("▁" + text.replace(" ", "▁"))
    while pairs := [(-score[a + b], i) for i, (a, b) in enumerate(pairwise(symbols)) if a + b in score]:
        _, i = min(pairs)
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
    number = {token: index for index, token in enumerate(tokens)}
    return [
        index
        for symbol in symbols
        for index in ([number[symbol]] if symbol in number else [3 + byte for byte in symbol.encode()])
    ]


def test_the_tokenizer_of_llama_2_splits_text_as_llama_cpp_does(tmp_path: Path) -> None:
    tokens, scores, types = sentencepiece_pieces()
    model = random_model(small_config("llama", len(tokens)))
    write_gguf(tmp_path / "m.gguf", model, small_tokenizer(), pieces=(tokens, scores, types))
    import_gguf(tmp_path / "m.gguf", tmp_path / "out", dtype=torch.float32)
    tokenizer = OurTokenizer.load(tmp_path / "out")
    assert tokenizer.prefix_ids == (1,)  # llama.cpp begins such texts with <s> where the file does not say otherwise
    for text in ("the cat", "  the  cat", "an inner thing at 12", "猫 ate\n1212 naïve é", "theater 2121", "a"):
        assert tokenizer.encode(text) == sentencepiece_encode(text), text
        assert tokenizer.decode(tokenizer.encode(text)) == text
    hostile = "the <s>cat</s> <unk>"
    assert not {0, 1, 2} & set(tokenizer.encode(hostile))
    assert tokenizer.decode(tokenizer.encode(hostile)) == hostile
    loaded = load_model(tmp_path / "out").state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model.state_dict().items())


def test_pieces_without_a_score_each_are_refused(tmp_path: Path) -> None:
    tokens, scores, types = sentencepiece_pieces()
    model = random_model(small_config("llama", len(tokens)))
    write_gguf(tmp_path / "m.gguf", model, small_tokenizer(), pieces=(tokens, scores[:-1], types))
    with pytest.raises(CheckpointError, match=rf"tokenizer.ggml.scores has {len(tokens) - 1} entries for {len(tokens)} tokens"):
        import_gguf(tmp_path / "m.gguf", tmp_path / "out")


@pytest.mark.parametrize("keys", [{"pre": "default"}, {"without": ["tokenizer.ggml.pre"]}])
def test_a_file_that_names_no_pre_tokenizer_splits_as_llama_cpp_does_by_default(keys: dict[str, Any], tmp_path: Path) -> None:
    """Punctuation apart, whatever stands beside it; then as GPT-2, without a space before a number; digits by threes."""
    tokenizer = small_tokenizer()
    write_gguf(tmp_path / "m.gguf", random_model(small_config("llama", tokenizer.get_vocab_size())), tokenizer, **keys)
    import_gguf(tmp_path / "m.gguf", tmp_path / "out")
    again = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert again.pre_tokenizer is not None
    pieces = [piece for piece, _ in again.pre_tokenizer.pre_tokenize_str("say (it's) 1234567+8")]
    assert pieces == ["say", "Ġ", "(", "it", "'", "s", ")", "Ġ", "123", "456", "7", "+", "8"]
