"""A model directory as one GGUF file for llama.cpp and what is built on it: F16, Q8_0 or Q4_0.

Which tensor gets which type: norms, biases and RoPE factors float32; matrices the type that is asked for. Q4_0 keeps the head
(and the embedding where it is the head) in Q8_0, since llama.cpp gives it more bits, too. Rows that are no whole blocks of 32
stay float16, and a line says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from cogitate.errors import CheckpointError
from cogitate.model.config import ModelConfig
from cogitate.model.files.gguf.model import ROPE_FACTORS, ROWS_IN_PAIRS, gguf_name
from cogitate.model.files.gguf.quantise import BLOCK, StoredType, encode
from cogitate.model.files.gguf.settings import ARCHITECTURES
from cogitate.model.files.gguf.write import TensorEntry, write_file
from cogitate.model.files.gguf.write_tokenizer import TokenizerToWrite, tokenizer_fields
from cogitate.model.files.hf import open_weights
from cogitate.model.files.names import Part, name_table
from cogitate.model.rope import rope_frequencies

log = logging.getLogger(__name__)
Quantisation = Literal["f16", "q8_0", "q4_0"]
STORED_TYPES: dict[Quantisation, StoredType] = {"f16": StoredType.F16, "q8_0": StoredType.Q8_0, "q4_0": StoredType.Q4_0}
FILE_TYPES: dict[Quantisation, int] = {"f16": 1, "q8_0": 7, "q4_0": 2}  # general.file_type, llama_ftype
QUANTISATION_VERSION = 2


def export_gguf(source: Path, file: Path, quantisation: Quantisation, tokenizer: TokenizerToWrite) -> None:
    """Write the model of a Hugging Face directory. One tensor at a time is in memory; equal directories of equal name
    give equal bytes.

    Raises:
        CheckpointError: as load_model; a family, a switch or a tokenizer that llama.cpp does not have; a weight that float16
            cannot hold.
    """
    with open_weights(source) as (config, read):
        check_family(config, source)
        parts = [part for parts in name_table(config).values() for part in parts]
        fields = {
            "general.architecture": config.model_type,
            "general.name": source.resolve().name,
            "general.file_type": FILE_TYPES[quantisation],
            "general.quantization_version": QUANTISATION_VERSION,
            **model_fields(config),
            **tokenizer_fields(tokenizer, config.vocab_size),
        }
        entries = [entry_of(part, config, quantisation) for part in parts]
        unblocked = sorted({entry.shape[-1] for entry in entries if entry.shape[-1] % BLOCK and len(entry.shape) > 1})
        if unblocked and quantisation != "f16":
            widths = ", ".join(map(str, unblocked))
            log.warning("%s: matrices with rows of %s numbers stay float16: no whole blocks of %d", source, widths, BLOCK)
        factors = rope_factors(config)
        if factors is not None:
            entries.insert(0, TensorEntry(ROPE_FACTORS, factors.shape, StoredType.F32))
        write_file(file, fields, entries, encoded(config, parts, read, entries, source))


def check_family(config: ModelConfig, source: Path) -> None:
    """Refuse what llama.cpp would compute in another way."""
    place, name = f"{source / 'config.json'}", config.model_type
    if name not in ARCHITECTURES:
        raise CheckpointError(f"{place}: model_type = {name}: GGUF is written of {', '.join(ARCHITECTURES)}")
    windows = [layer for layer in range(config.num_hidden_layers) if config.window_of_layer(layer) is not None]
    if windows:
        raise CheckpointError(f"{place}: layer {windows[0]} has a sliding window: llama.cpp's {name} has none")
    if name == "qwen3" and config.attention_bias:
        raise CheckpointError(f"{place}: attention_bias = true: llama.cpp's qwen3 has no biases")
    kind = (config.rope_scaling or {}).get("rope_type")
    if kind not in (None, "linear", "llama3"):
        raise CheckpointError(f"{place}: RoPE scaling {kind}: GGUF is written with linear and llama3")


def model_fields(config: ModelConfig) -> dict[str, Any]:
    """The keys that say what the model is: what `read_settings` reads."""
    values: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": config.head_width,
        "attention.value_length": config.head_width,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.dimension_count": config.head_width,
        "rope.freq_base": float(config.rope_theta),
    }
    if config.rope_scaling is not None and config.rope_scaling["rope_type"] == "linear":
        values |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(config.rope_scaling["factor"])}
    return {f"{config.model_type}.{key}": value for key, value in values.items()}


def entry_of(part: Part, config: ModelConfig, quantisation: Quantisation) -> TensorEntry:
    """How a published tensor is stored."""
    name = gguf_name(part.name)
    is_head = name == "output.weight" or (name == "token_embd.weight" and config.tie_word_embeddings)
    if len(part.shape) == 1:
        stored_type = StoredType.F32
    elif part.shape[-1] % BLOCK:
        stored_type = StoredType.F16
    elif is_head and quantisation == "q4_0":
        stored_type = StoredType.Q8_0
    else:
        stored_type = STORED_TYPES[quantisation]
    return TensorEntry(name, part.shape, stored_type)


def rope_factors(config: ModelConfig) -> np.ndarray | None:
    """What Llama 3's scaling divides each frequency by; None without it."""
    if config.rope_scaling is None or config.rope_scaling["rope_type"] != "llama3":
        return None
    plain, _ = rope_frequencies(config.model_copy(update={"rope_scaling": None}))
    factors: np.ndarray = (plain / rope_frequencies(config)[0]).numpy()
    return factors


def encoded(
    config: ModelConfig, parts: list[Part], read: Callable[[Part], Tensor], entries: list[TensorEntry], source: Path
) -> Iterator[np.ndarray]:
    """The bytes of each entry, in order."""
    if entries[0].name == ROPE_FACTORS:
        factors = rope_factors(config)
        assert factors is not None
        yield encode(factors, StoredType.F32)
        entries = entries[1:]
    heads_of = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for part, entry in zip(parts, entries, strict=True):
        values, heads = read(part), heads_of.get(entry.name.split(".")[-2])
        if config.model_type in ROWS_IN_PAIRS and heads is not None:
            values = pairs_from_halves(values, heads)
        try:
            yield encode(values.numpy(), entry.stored_type)
        except ValueError as error:
            raise CheckpointError(f"{source}: {part.name} {error}") from error


def pairs_from_halves(rows: Tensor, heads: int) -> Tensor:
    """llama.cpp's order of Llama's query and key rows: those that RoPE rotates together are neighbours."""
    pairs: Tensor = rows.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
    return pairs
