"""Small GGUF files, made by the library that defines the format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from cogitate.model.config import ModelConfig
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
                blocks = overrides["blocks"](*data.shape, quantisation) if "blocks" in overrides else None
                raw = gguf.quantize(data, quantisation) if blocks is None else blocks
                writer.add_tensor(name, raw, raw_dtype=quantisation)
            else:
                writer.add_tensor(name, data)
    if "rope_factors" in overrides:
        writer.add_tensor("rope_freqs.weight", overrides["rope_factors"])
    for name in overrides.get("extra_tensors", ()):
        writer.add_tensor(name, np.zeros(3, dtype=np.float32))
    for key in overrides.get("without", ()):
        del writer.kv_data[0][key]
    for key, value in overrides.get("keys", {}).items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        add.get(type(value), writer.add_array)(key, value)
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
