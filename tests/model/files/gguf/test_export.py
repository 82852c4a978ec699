"""GGUF files that we write: read again they are the model; what llama.cpp would compute otherwise is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cogitate.apps.export import export_as_gguf
from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.export import Quantisation
from cogitate.model.files.gguf.header import read_header
from cogitate.model.files.gguf.model import import_gguf
from cogitate.model.files.gguf.quantise import StoredType
from cogitate.model.files.hf import load_model, save_model
from cogitate.model.transformer import Transformer
from tests.conftest import micro_config
from tests.model.files.gguf.small_files import LLAMA3, random_model, small_config
from tests.model.files.gguf.splitting import save_tokenizer, train_splitting

# A head of 24 is not width / heads. Rows of 64 and 96 are whole blocks of 32.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama3": ("llama", {"rope_scaling": LLAMA3, "tie_word_embeddings": True}),
    "linear": ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}, "head_dim": 24}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"head_dim": 24}),
}


def written(directory: Path, family: str, **switches: Any) -> Transformer:
    """A random model in a directory, with rows to spare in its embedding."""
    tokenizer = train_splitting("smollm")
    model_type, more = FAMILIES.get(family, (family, {}))
    rows = tokenizer.get_vocab_size() + 6
    model = random_model(small_config(model_type, rows, **{"bos_token_id": 0, **more, **switches}))
    save_model(model, directory)
    save_tokenizer(tokenizer, directory)
    return model


def export(directory: Path, quantisation: Quantisation, name: str = "m.gguf") -> Path:
    export_as_gguf(directory, directory.parent / name, quantisation, say=lambda line: None)
    return directory.parent / name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_in_float16_is_read_as_the_model_it_was_written_from(family: str, tmp_path: Path) -> None:
    model = written(tmp_path / "model", family)
    import_gguf(export(tmp_path / "model", "f16"), tmp_path / "again", dtype=torch.float32)
    again = load_model(tmp_path / "again")
    same = {"model_type", "rope_theta", "rope_scaling", "head_width", "rms_norm_eps", "tie_word_embeddings", "attention_bias"}
    same |= {"vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "num_key_value_heads", "mlp_bias"}
    assert {key: getattr(again.config, key) for key in same} == {key: getattr(model.config, key) for key in same}
    state = again.state_dict()
    for name, tensor in model.state_dict().items():
        stored = tensor.half().float() if tensor.dim() > 1 else tensor
        assert torch.equal(state[name], stored), name


@pytest.mark.parametrize(("quantisation", "steps"), [("q8_0", 127), ("q4_0", 8)])
def test_a_quantised_weight_is_within_its_step(quantisation: Quantisation, steps: int, tmp_path: Path) -> None:
    """A step is the block's largest magnitude / 127 (Q8_0) or / 8 (Q4_0): half a step is lost, a whole one of Q4_0 at the
    far end; the scale is float16."""
    model = written(tmp_path / "model", "qwen3")
    import_gguf(export(tmp_path / "model", quantisation), tmp_path / "again", dtype=torch.float32)
    state = load_model(tmp_path / "again").state_dict()
    for name, tensor in model.state_dict().items():
        if tensor.dim() == 1:
            assert torch.equal(state[name], tensor), name
            continue
        exact, got = (x.unflatten(1, (-1, 32)) for x in (tensor, state[name]))
        step = exact.abs().amax(-1, keepdim=True) / steps
        lost = 1.0 if quantisation == "q4_0" else 0.5
        assert bool(((got - exact).abs() <= lost * step + steps * step / 1024).all()), name
        assert not torch.equal(got, exact), name


def test_each_tensor_has_the_type_it_should(tmp_path: Path) -> None:
    written(tmp_path / "model", "llama", num_hidden_layers=1)
    stored = read_header(export(tmp_path / "model", "q4_0"))[1]
    types = {name: StoredType(tensor.kind) for name, tensor in stored.items()}
    assert types["output.weight"] == StoredType.Q8_0
    assert types["token_embd.weight"] == types["blk.0.attn_q.weight"] == StoredType.Q4_0
    assert types["output_norm.weight"] == types["blk.0.attn_q.bias"] == StoredType.F32
    written(tmp_path / "tied", "qwen2")
    stored = read_header(export(tmp_path / "tied", "q4_0", "tied.gguf"))[1]
    assert "output.weight" not in stored
    assert stored["token_embd.weight"].kind == StoredType.Q8_0


def test_rows_that_are_no_whole_blocks_stay_float16_and_a_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path / "model", "llama", intermediate_size=88)
    stored = read_header(export(tmp_path / "model", "q8_0"))[1]
    assert stored["blk.0.ffn_down.weight"].kind == StoredType.F16
    assert stored["blk.0.ffn_up.weight"].kind == StoredType.Q8_0
    assert "matrices with rows of 88 numbers stay float16" in caplog.text


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    written(tmp_path / "model", "llama3")
    first, second = (export(tmp_path / "model", "q8_0", name) for name in ("a.gguf", "b.gguf"))
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gguf", "b.gguf", "model"]


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


@pytest.mark.parametrize(
    ("family", "switches", "message"),
    [
        ("llama", {"rope_scaling": YARN}, "RoPE scaling yarn: GGUF is written with linear and llama3"),
        ("qwen3", {"attention_bias": True}, "attention_bias = true: llama.cpp's qwen3 has no biases"),
        (
            "qwen2",
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
            "layer 1 has a sliding window: llama.cpp's qwen2 has none",
        ),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    family: str, switches: dict[str, Any], message: str, tmp_path: Path
) -> None:
    written(tmp_path / "model", family, **switches)
    with pytest.raises(CheckpointError, match=message):
        export(tmp_path / "model", "f16")
    assert not (tmp_path / "m.gguf").exists()


def test_families_that_are_not_written_and_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    tokenizer = train_splitting("smollm")
    save_model(Transformer(micro_config(tokenizer.get_vocab_size())), tmp_path / "deepseek")
    save_tokenizer(tokenizer, tmp_path / "deepseek")
    with pytest.raises(CheckpointError, match="model_type = deepseek_v3: GGUF is written of llama, qwen2, qwen3"):
        export(tmp_path / "deepseek", "f16")
    model = written(tmp_path / "model", "llama")
    model.get_parameter("layers.1.mlp.down_proj.weight").data[3, 4] = 1e5
    save_model(model, tmp_path / "model")
    with pytest.raises(
        CheckpointError, match=r"model: model.layers.1.mlp.down_proj.weight holds 100000: float16 ends at 65504"
    ):
        export(tmp_path / "model", "f16")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deepseek", "model"]


def test_what_only_describes_a_file_is_there(tmp_path: Path) -> None:
    written(tmp_path / "model", "qwen3")
    fields = read_header(export(tmp_path / "model", "q4_0"))[0]
    assert fields["general.architecture"] == "qwen3"
    assert fields["general.name"] == "model"
    assert fields["general.file_type"] == 2
    assert json.loads((tmp_path / "model" / "config.json").read_text())["vocab_size"] == len(fields["tokenizer.ggml.tokens"])
