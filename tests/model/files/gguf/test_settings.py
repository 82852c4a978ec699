"""What the keys of a GGUF file say of the model."""

from pathlib import Path

import pytest

from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.model import import_gguf
from cogitate.model.files.hf import load_model
from cogitate.model.rope import rope_frequencies
from tests.model.files.gguf.small_files import LLAMA3, random_model, small_config, small_tokenizer, write_gguf


def test_the_rope_scaling_of_llama_3_is_recognised_by_its_factors(tmp_path: Path) -> None:
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
