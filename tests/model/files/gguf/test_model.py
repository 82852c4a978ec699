"""GGUF files made on the spot become the models they were made from; others are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.model import import_gguf
from cogitate.model.files.hf import load_model
from tests.model.files.gguf.small_files import gguf, random_model, small_config, small_tokenizer, write_gguf


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
    with pytest.raises(CheckpointError, match=r"llama.rope.dimension_count = 8: heads are 16 wide"):
        import_gguf(tmp_path / "part.gguf", tmp_path / "out")
    write_gguf(tmp_path / "extra.gguf", model, tokenizer, extra_tensors=["blk.0.odd.weight"])
    with pytest.raises(CheckpointError, match=r"tensor blk.0.odd.weight has no place in a llama model"):
        import_gguf(tmp_path / "extra.gguf", tmp_path / "out")
    write_gguf(tmp_path / "whole.gguf", model, tokenizer)
    (tmp_path / "half.gguf").write_bytes((tmp_path / "whole.gguf").read_bytes()[:-20_000])
    with pytest.raises(CheckpointError, match=r"half.gguf: not a whole GGUF file"):
        import_gguf(tmp_path / "half.gguf", tmp_path / "out")
    broken = random_model(model.config)
    broken.norm.weight.data[3] = float("nan")
    write_gguf(tmp_path / "nan.gguf", broken, tokenizer)
    with pytest.raises(CheckpointError, match=r"nan.gguf: output_norm.weight holds numbers that are not finite"):
        import_gguf(tmp_path / "nan.gguf", tmp_path / "out")
    for name in ("blk.0.new\nline", "blk.0." + "x" * 200):
        write_gguf(tmp_path / "name.gguf", model, tokenizer, keys={name: 1})
        with pytest.raises(CheckpointError, match=r"name.gguf: not a whole GGUF file: a key is 'blk.0.*can be printed"):
            import_gguf(tmp_path / "name.gguf", tmp_path / "out")
    assert not (tmp_path / "out" / "config.json").exists()
