"""The model of a GGUF file as a Hugging Face directory: weights dequantised, llama.cpp's order of rows undone.

GGUF is llama.cpp's format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md); the `gguf` library dequantises it.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cogitate.errors import CheckpointError
from cogitate.model.config import ModelConfig
from cogitate.model.files.gguf.header import StoredTensor, read_header
from cogitate.model.files.gguf.keys import Keys
from cogitate.model.files.gguf.settings import read_settings, with_rope_factors
from cogitate.model.files.gguf.tokenizer import read_tokenizer
from cogitate.model.files.hf import save_model, unfilled_model
from cogitate.model.files.names import name_table
from cogitate.model.transformer import Transformer

log = logging.getLogger(__name__)
ROPE_FACTORS = "rope_freqs.weight"
TENSORS = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
ROWS_IN_PAIRS = {"llama"}  # whose query and key rows llama.cpp reorders


def import_gguf(file: Path, out: Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the model of a .gguf file as a Hugging Face directory with its tokenizer and chat template.

    Keys of the file that are not used are named in one line of the log.

    Raises:
        CheckpointError: not a whole GGUF file, an architecture, quantisation or tokenizer that is not supported, or a tensor
            missing or left over.
    """
    fields, tensors = read_header(file)
    keys = Keys(fields, file)
    config = read_settings(keys, tensors)
    _check_tensors(config, tensors, file)
    if ROPE_FACTORS in tensors:
        config = with_rope_factors(config, _dequantise(tensors[ROPE_FACTORS], file), keys)
    tokenizer = read_tokenizer(keys, config.vocab_size)
    if unread := keys.unread():
        log.warning("%s: keys that are not used: %s", file, ", ".join(unread))
    model = unfilled_model(config, dtype=dtype)
    _read_weights(model, tensors, file)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.write(out)
    save_model(model, out)


def _check_tensors(config: ModelConfig, tensors: dict[str, StoredTensor], file: Path) -> None:
    """Names and shapes, before a model is made: a wrong size must not take memory."""
    if config.num_hidden_layers > len(tensors):
        raise CheckpointError(f"{file}: block_count is {config.num_hidden_layers}, but there are {len(tensors)} tensors in all")
    unread = set(tensors) - {ROPE_FACTORS}
    for part in (part for parts in name_table(config).values() for part in parts):
        source = gguf_name(part.name)
        if source not in tensors:
            raise CheckpointError(f"{file}: tensor {source} is missing")
        if tensors[source].shape != part.shape:
            raise CheckpointError(f"{file}: {source} has shape {list(tensors[source].shape)}, expected {list(part.shape)}")
        unread.discard(source)
    if unread:
        raise CheckpointError(f"{file}: tensor {min(unread)} has no place in a {config.model_type} model")


@torch.no_grad()
def _read_weights(model: Transformer, tensors: dict[str, StoredTensor], file: Path) -> None:
    config, state = model.config, model.state_dict()
    heads_of = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, parts in name_table(config).items():
        for part, piece in zip(parts, state[name].split([part.shape[0] for part in parts]), strict=True):
            source = gguf_name(part.name)
            values, heads = _dequantise(tensors[source], file), heads_of.get(source.split(".")[-2])
            if config.model_type in ROWS_IN_PAIRS and heads is not None:
                values = _halves_from_pairs(values, heads)
            piece.copy_(values)


def gguf_name(published: str) -> str:
    """model.layers.3.mlp.up_proj.weight -> blk.3.ffn_up.weight"""
    stem, _, kind = published.rpartition(".")
    if stem in TENSORS:
        return f"{TENSORS[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{TENSORS[part]}.{kind}"


def _halves_from_pairs(rows: Tensor, heads: int) -> Tensor:
    """llama.cpp reorders Llama's query and key rows for RoPE on neighbouring pairs; undo it."""
    halves: Tensor = rows.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)
    return halves


def _dequantise(tensor: StoredTensor, file: Path) -> Tensor:
    """float32 in the usual order of dimensions."""
    import gguf

    kind = gguf.GGMLQuantizationType(tensor.kind)
    try:
        with np.errstate(all="ignore"):  # of numbers that are not finite: see below
            values = np.array(gguf.dequantize(np.asarray(tensor.data), kind), dtype=np.float32)
    except NotImplementedError as error:
        raise CheckpointError(f"{file}: {tensor.name} is stored as {kind.name}: not supported") from error
    if not np.isfinite(values).all():
        raise CheckpointError(f"{file}: {tensor.name} holds numbers that are not finite: the file is damaged")
    return torch.from_numpy(values).view(tensor.shape)
