"""The model of a GGUF file as a Hugging Face directory: weights dequantised, llama.cpp's order of rows undone.

GGUF is llama.cpp's format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md); the `gguf` library reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.settings import read_settings
from cogitate.model.files.gguf.tokenizer import write_tokenizer
from cogitate.model.files.hf import save_model
from cogitate.model.files.names import name_table
from cogitate.model.transformer import Transformer

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
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def import_gguf(file: Path, out: Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the model of a .gguf file as a Hugging Face directory with its tokenizer and chat template.

    Raises:
        CheckpointError: not a whole GGUF file, an architecture, quantisation or tokenizer that is not supported, or a tensor
            missing or left over.
    """
    reader = _open(file)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    factors = tensors.get(ROPE_FACTORS)
    config = read_settings(fields, tensors, None if factors is None else _dequantise(factors, file), file)
    with torch.device("meta"):
        model = Transformer(config)
    model = model.to(dtype).to_empty(device="cpu")
    _read_weights(model, tensors, file)
    out.mkdir(parents=True, exist_ok=True)
    write_tokenizer(fields, out, file)
    save_model(model, out)


def _open(file: Path) -> Any:
    try:
        import gguf
    except ImportError as error:
        raise CheckpointError(f"{file}: reading GGUF needs the gguf package: pip install 'cogitate[gguf]'") from error
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file")
    try:
        return gguf.GGUFReader(file)
    except (ValueError, IndexError, KeyError, OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{file}: not a whole GGUF file: {error}") from error


@torch.no_grad()
def _read_weights(model: Transformer, tensors: dict[str, Any], file: Path) -> None:
    config, state = model.config, model.state_dict()
    unread = set(tensors) - {ROPE_FACTORS}
    for name, parts in name_table(config).items():
        for part, piece in zip(parts, state[name].split([part.shape[0] for part in parts]), strict=True):
            source = _gguf_name(part.name)
            if source not in tensors:
                raise CheckpointError(f"{file}: tensor {source} is missing")
            values = _dequantise(tensors[source], file)
            if tuple(values.shape) != part.shape:
                raise CheckpointError(f"{file}: {source} has shape {list(values.shape)}, expected {list(part.shape)}")
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(source.split(".")[-2])
            if config.model_type == "llama" and heads is not None:
                values = _halves_from_pairs(values, heads)
            piece.copy_(values)
            unread.discard(source)
    if unread:
        raise CheckpointError(f"{file}: tensor {min(unread)} has no place in a {config.model_type} model")


def _gguf_name(published: str) -> str:
    """model.layers.3.mlp.up_proj.weight -> blk.3.ffn_up.weight"""
    stem, _, kind = published.rpartition(".")
    if stem in TENSORS:
        return f"{TENSORS[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{TENSORS[part]}.{kind}"


def _halves_from_pairs(rows: Tensor, heads: int) -> Tensor:
    """llama.cpp reorders Llama's query and key rows for RoPE on neighbouring pairs; undo it."""
    return rows.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def _dequantise(tensor: Any, file: Path) -> Tensor:
    """float32 in the usual order of dimensions (GGUF lists them reversed)."""
    import gguf

    try:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
    except NotImplementedError as error:
        raise CheckpointError(f"{file}: {tensor.name} is stored as {tensor.tensor_type.name}: not supported") from error
    return torch.from_numpy(np.array(values, dtype=np.float32)).view(*(int(n) for n in reversed(tensor.shape)))
