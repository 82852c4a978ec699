"""What the keys of a GGUF file say of the model, read as llama.cpp reads them."""

import logging
from pathlib import Path
from typing import Any

import pytest

from cogitate.errors import CheckpointError
from cogitate.model.config import ModelConfig
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


def imported(tmp_path: Path, architecture: str = "llama", **overrides: Any) -> ModelConfig:
    """The config of a small file, some of whose keys are changed."""
    tokenizer = small_tokenizer()
    model = random_model(small_config(architecture, tokenizer.get_vocab_size(), **overrides.pop("switches", {})))
    write_gguf(tmp_path / "m.gguf", model, tokenizer, **overrides)
    import_gguf(tmp_path / "m.gguf", tmp_path / "out")
    return load_model(tmp_path / "out").config


LINEAR = {"rope_type": "linear", "factor": 4.0}


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize(
    ("keys", "scaling"),
    [
        ({"rope.scale_linear": 4.0}, LINEAR),
        ({"rope.scaling.factor": 4.0}, LINEAR),
        ({"rope.scaling.factor": 4.0, "rope.scaling.type": "linear"}, LINEAR),
        ({"rope.scale_linear": 4.0, "rope.scaling.type": "linear"}, LINEAR),
        ({"rope.scaling.factor": 4.0, "rope.scale_linear": 2.0}, LINEAR),  # the new name counts
        ({"rope.scaling.factor": 4.0, "rope.scaling.type": "none"}, None),
        ({"rope.scale_linear": 4.0, "rope.scaling.type": "none"}, None),
        ({"rope.scaling.factor": 1.0}, None),
        ({"rope.scaling.factor": 0.0}, None),  # llama.cpp: not set
        ({"rope.scaling.type": "linear"}, None),
        ({"rope.scaling.factor": 0.5}, {"rope_type": "linear", "factor": 0.5}),
    ],
)
def test_linear_rope_scaling_is_read_as_llama_cpp_reads_it(
    architecture: str, keys: dict[str, Any], scaling: dict[str, Any] | None, tmp_path: Path
) -> None:
    pre = "qwen2" if architecture == "qwen2" else "smollm"
    named = {f"{architecture}.{key}": value for key, value in keys.items()}
    assert imported(tmp_path, architecture, pre=pre, keys=named).rope_scaling == scaling


def test_a_file_without_a_number_of_key_value_heads_has_as_many_as_query_heads(tmp_path: Path) -> None:
    """The key is optional in GGUF's description."""
    whole = {"num_key_value_heads": 4}
    assert imported(tmp_path, switches=whole, without=["llama.attention.head_count_kv"]).num_key_value_heads == 4
    (tmp_path / "grouped").mkdir()
    with pytest.raises(CheckpointError, match=r"blk.0.attn_k.weight has shape \[32, 64\], expected \[64, 64\]"):
        imported(tmp_path / "grouped", without=["llama.attention.head_count_kv"])


def test_lists_of_one_number_for_each_layer_are_read_where_all_are_equal(tmp_path: Path) -> None:
    lists = {"llama.attention.head_count": [4, 4], "llama.attention.head_count_kv": [2, 2]}
    assert imported(tmp_path, without=lists, keys=lists).num_key_value_heads == 2
    with pytest.raises(CheckpointError, match=r"llama.feed_forward_length = .* differs between layers: not supported"):
        imported(tmp_path, without=["llama.feed_forward_length"], keys={"llama.feed_forward_length": [96, 64]})


def test_keys_that_are_not_used_are_named_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        imported(
            tmp_path,
            keys={
                "llama.rope.scaling.type": "none",
                "llama.rope.scaling.factor": 4.0,
                "llama.attention.sliding_window": 64,
                "tokenizer.ggml.add_eos_token": True,
                "general.name": "describes the file alone",
                "quantize.imatrix.file": "likewise",
            },
        )
    unused = "llama.attention.sliding_window, llama.rope.scaling.factor, tokenizer.ggml.add_eos_token"
    assert [record.getMessage() for record in caplog.records] == [f"{tmp_path}/m.gguf: keys that are not used: {unused}"]


def test_a_file_whose_keys_are_all_used_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        imported(tmp_path, keys={"llama.rope.scale_linear": 2.0, "llama.vocab_size": small_tokenizer().get_vocab_size()})
    assert not caplog.records


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"llama.rope.scaling.type": "yarn"}, "llama.rope.scaling.type = 'yarn': not supported; supported are none and linear"),
        ({"llama.rope.scaling.type": 3}, "llama.rope.scaling.type = 3: must be a text"),
        ({"llama.rope.scaling.factor": "4"}, "llama.rope.scaling.factor = '4': must be a number"),
        ({"llama.rope.scaling.factor": float("inf")}, "llama.rope.scaling.factor = inf: must be a number"),
        ({"llama.rope.scaling.factor": -4.0}, "llama.rope.scaling.factor = -4.0: must be a number above 0"),
        ({"llama.rope.scaling.attn_factor": 1.2}, "llama.rope.scaling.attn_factor = 1.2.*: only 1.0 is supported"),
        ({"llama.vocab_size": 7}, "llama.vocab_size = 7: token_embd.weight has .* rows"),
        ({"llama.expert_count": 8}, "llama.expert_count = 8: .* mixtures of experts are not supported"),
        ({"split.count": 3}, "split.count = 3: files in parts .* are not supported"),
        ({"llama.attention.value_length": 8}, "llama.attention.value_length = 8: heads are 16 wide"),
        ({"llama.attention.causal": False}, "llama.attention.causal = False: only causal attention"),
        ({"tokenizer.ggml.eot_token_id": 9999}, "tokenizer.ggml.eot_token_id = 9999: there are .* tokens"),
    ],
)
def test_settings_that_cannot_be_followed_are_named(keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        imported(tmp_path, keys=keys)
