"""Adapters alone, in PEFT's format: added to the model that training started from they are the model that it ended with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cogitate.model.config import ModelConfig
from cogitate.model.files.adapter import save_trained
from cogitate.model.files.hf import save_model
from cogitate.model.lora import add_lora, lora_layers
from cogitate.model.transformer import Transformer
from tests.model.files.gguf.small_files import random_model, small_config


def trained(config: ModelConfig, directory: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Published weights before and after adapters were "trained"."""
    model = random_model(config)
    save_model(model, directory / "base")
    add_lora(model, rank=3, alpha=6.0)
    for layer in lora_layers(model):
        torch.nn.init.normal_(layer.up)
    save_trained(model, directory / "after")
    before, after = (load_file(directory / name / "model.safetensors") for name in ("base", "after"))
    return before, after


def adapted(before: dict[str, torch.Tensor], adapter: Path) -> dict[str, torch.Tensor]:
    """PEFT's sum (arXiv:2106.09685): W + alpha / r * B A."""
    settings = json.loads((adapter / "adapter_config.json").read_text())
    tensors = load_file(adapter / "adapter_model.safetensors")
    weights, read = dict(before), set()
    for name, weight in before.items():
        a, b = (f"base_model.model.{name.removesuffix('.weight')}.lora_{x}.weight" for x in "AB")
        if a in tensors:
            assert any(name.removesuffix(".weight").endswith(f".{target}") or name.removesuffix(".weight") == target
                       for target in settings["target_modules"])  # fmt: skip
            weights[name] = weight + settings["lora_alpha"] / settings["r"] * (tensors[b] @ tensors[a])
            read |= {a, b}
    assert read == tensors.keys()
    return weights


@pytest.mark.parametrize(("family", "switches"), [("llama", {}), ("qwen2", {}), ("qwen3", {"head_dim": 24})])
def test_base_and_adapter_are_the_merged_model(family: str, switches: dict[str, Any], tmp_path: Path) -> None:
    before, after = trained(small_config(family, 64, **switches), tmp_path)
    sums = adapted(before, tmp_path / "after" / "adapter")
    for name, tensor in after.items():
        assert torch.allclose(tensor, sums[name], atol=1e-6), name
    changed = {name.split(".")[-2] for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    settings = json.loads((tmp_path / "after" / "adapter" / "adapter_config.json").read_text())
    assert set(settings["target_modules"]) == changed
    assert (settings["r"], settings["lora_alpha"], settings["peft_type"]) == (3, 6.0, "LORA")
    assert not (tmp_path / "after" / "adapter" / "beside_peft.safetensors").exists()


def test_what_peft_has_no_place_for_is_in_a_file_of_its_own(
    make_micro_model: Callable[..., Transformer], tmp_path: Path
) -> None:
    """DeepSeek's family: routed experts have modules of the same ends, so that whole names are given; MTP and router biases."""
    before, after = trained(make_micro_model().config, tmp_path)
    sums = adapted(before, tmp_path / "after" / "adapter")
    assert all(torch.allclose(tensor, sums[name], atol=1e-6) for name, tensor in after.items())
    settings = json.loads((tmp_path / "after" / "adapter" / "adapter_config.json").read_text())
    assert "model.layers.1.mlp.shared_experts.up_proj" in settings["target_modules"]
    assert not any(".experts." in name or ".layers.2." in name for name in settings["target_modules"])
    beside = load_file(tmp_path / "after" / "adapter" / "beside_peft.safetensors")
    assert "model.layers.1.mlp.gate.e_score_correction_bias" in beside
    assert {name for name in beside if "lora_A" in name} >= {"base_model.model.model.layers.2.eh_proj.lora_A.weight"}


def test_a_model_without_adapters_is_saved_without(tmp_path: Path) -> None:
    save_trained(random_model(small_config("llama", 64)), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
