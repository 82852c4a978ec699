"""Experts that are padded for vLLM: the model computes what it did."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cogitate.cluster.vllm.padding import pad_experts
from cogitate.errors import ConfigError
from cogitate.model.config import TINY, ModelConfig
from cogitate.model.files.hf import load_config, load_model, save_model
from cogitate.model.transformer import Transformer

SMALL = {"vocab_size": 64, "num_hidden_layers": 2, "initializer_range": 0.1, "num_nextn_predict_layers": 0}
DENSE = {
    "model_type": "qwen3", "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "max_position_embeddings": 64, "initializer_range": 0.1,
}  # fmt: skip
QWEN = {**DENSE, "model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
IDS = torch.arange(24).reshape(2, 12)


def hidden_of(directory: Path) -> torch.Tensor:
    with torch.inference_mode():
        hidden: torch.Tensor = load_model(directory).eval()(IDS)
    return hidden


def saved(directory: Path, described: dict[str, Any], **how: Any) -> ModelConfig:
    torch.manual_seed(0)
    config = ModelConfig.from_dict(described)
    save_model(Transformer(config), directory, **how)
    return config


@pytest.mark.parametrize(
    ("described", "padded"),
    [
        ({**TINY.to_dict(), **SMALL, "n_shared_experts": 2}, 128),
        ({**TINY.to_dict(), **SMALL, "moe_intermediate_size": 20, "n_shared_experts": 0}, 32),
        (QWEN, 64),
    ],
)
def test_a_model_with_padded_experts_computes_the_same(described: dict[str, Any], padded: int, tmp_path: Path) -> None:
    saved(tmp_path, described, shard_bytes=200_000)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    before = hidden_of(tmp_path)
    pad_experts(tmp_path)
    assert load_config(tmp_path).moe_intermediate_size == padded
    torch.testing.assert_close(hidden_of(tmp_path), before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("described", [{**TINY.to_dict(), **SMALL, "moe_intermediate_size": 64}, DENSE])
def test_a_model_whose_experts_fit_or_that_has_none_keeps_its_bytes(described: dict[str, Any], tmp_path: Path) -> None:
    saved(tmp_path, described)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    pad_experts(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_quantised_experts_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, {**TINY.to_dict(), **SMALL})
    scale = "model.layers.1.mlp.experts.0.up_proj.weight_scale_inv"
    save_file({**load_file(tmp_path / "model.safetensors"), scale: torch.ones(1, 2)}, tmp_path / "model.safetensors")
    described = json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(
        ConfigError, match=r"moe_intermediate_size = 112 and model\.layers\.1\.mlp\.experts\.0.*cluster\.engine=own"
    ):
        pad_experts(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()) == described
