"""A trained model on disk: plain weights with its adapters merged in and, beside them, the adapters alone in PEFT's format.

Our layers fuse published ones (q, k, v; gate, up), so one adapter of ours is one for each of them: the thin matrix `down`
(PEFT's lora_A) is the same, and the rows of `up` (lora_B) are those of the published matrix. The sums are equal exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from cogitate.model.config import ModelConfig
from cogitate.model.files.hf import KEPT_IN_FLOAT32, save_model
from cogitate.model.files.names import NameTable, mtp_name_table, name_table
from cogitate.model.lora import LoRALinear, lora_layers
from cogitate.model.transformer import Transformer
from cogitate.runtime import atomic_write, write_json

ADAPTER = "adapter"  # the directory beside the weights
SETTINGS, WEIGHTS, BESIDE_PEFT = "adapter_config.json", "adapter_model.safetensors", "beside_peft.safetensors"
PREFIX = "base_model.model."  # PEFT's, before the name of a module


def save_trained(model: Transformer, directory: Path) -> None:
    """save_model and, where the model has adapters, these in `directory`/adapter."""
    if lora_layers(model):
        save_adapter(model, directory / ADAPTER)
    save_model(model, directory)


def save_adapter(model: Transformer, directory: Path) -> None:
    """The adapters of a model in PEFT's format, without its weights.

    Training moves more of DeepSeek's family than PEFT has a place for: adapters of the MTP block and the routers' biases. They
    go into a file of their own.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tensors = published_adapters(model, name_table(model.config))
    beside = published_adapters(model, mtp_name_table(model.config)) | router_biases(model)
    for name, content in ((WEIGHTS, tensors), (BESIDE_PEFT, beside)):
        if content:
            with atomic_write(directory / name) as temporary:
                save_file(content, temporary, metadata={"format": "pt"})
    write_json(directory / SETTINGS, adapter_settings(lora_layers(model)[0], model.config, tensors))


def published_adapters(model: Transformer, table: NameTable) -> dict[str, Tensor]:
    """PEFT's names to the thin matrices of every published one."""
    tensors: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        parts = table.get(f"{name}.weight")
        if not isinstance(module, LoRALinear) or parts is None:
            continue
        ups = module.up.detach().cpu().split([part.shape[0] for part in parts])
        for part, up in zip(parts, ups, strict=True):
            published = PREFIX + part.name.removesuffix(".weight")
            tensors[f"{published}.lora_A.weight"] = module.down.detach().cpu().clone()  # a file holds no shared memory
            tensors[f"{published}.lora_B.weight"] = up.clone()
    return tensors


def router_biases(model: Transformer) -> dict[str, Tensor]:
    """Under their published names; {} of families without them."""
    table = name_table(model.config) | mtp_name_table(model.config)
    state = model.state_dict()
    return {table[name][0].name: state[name].cpu().clone() for name in table if name.endswith(KEPT_IN_FLOAT32)}


def adapter_settings(layer: LoRALinear, config: ModelConfig, names: Iterable[str]) -> dict[str, Any]:
    """adapter_config.json. Its target_modules are the ends of names, or whole names where routed experts have the same ends."""
    modules = {name.removeprefix(PREFIX).rsplit(".", 2)[0] for name in names}
    if config.family.router is None:
        modules = {name.rpartition(".")[2] for name in modules}
    rank = len(layer.down)
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": rank,
        "lora_alpha": layer.scale * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": sorted(modules),
    }
