"""Model directories in Hugging Face's format, in and out: config.json and safetensors under the published names."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from cogitate.errors import CheckpointError, ConfigError
from cogitate.model.config import ModelConfig
from cogitate.model.files.checkpoint_files import INDEX, MTP, SINGLE, CheckpointReader
from cogitate.model.files.names import NameTable, Part, mtp_copies, mtp_name_table, name_table
from cogitate.model.lora import merged_state_dict
from cogitate.model.transformer import Transformer
from cogitate.runtime import atomic_write, write_json

log = logging.getLogger(__name__)
SHARD_BYTES = 5_000_000_000
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
KEPT_IN_FLOAT32 = "e_score_correction_bias"


def save_model(
    model: Transformer,
    directory: Path,
    *,
    dtype: torch.dtype | None = None,
    tokenizer_files: Sequence[Path] = (),
    released_layout: bool = False,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write a directory that `transformers`, vLLM and `load_model` read; adapters are merged. config.json is written last.

    Args:
        dtype: type of the weights on disk; None keeps the model's. Router biases are always float32.
        tokenizer_files: copied beside the weights (tokenizer.json, tokenizer_config.json, chat_template.jinja ...).
        released_layout: number the MTP block as one more layer in the main files, with its copies of embedding and head, as
            DeepSeek publishes it; otherwise it goes into mtp.safetensors.
        shard_bytes: largest size of a file; several files get an index.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = model.config
    dtype = dtype or model.embed_tokens.weight.dtype
    tensors = dict(_published(model, name_table(config), dtype))
    mtp_tensors = dict(_published(model, mtp_name_table(config), dtype))
    if released_layout and mtp_tensors:
        copies = {name: tensors[source].clone() for name, source in mtp_copies(config).items()}
        tensors, mtp_tensors = tensors | mtp_tensors | copies, {}
    written = _write_shards(tensors, directory, shard_bytes)
    if mtp_tensors:
        _write_safetensors(mtp_tensors, directory / MTP)
        written.add(MTP)
    for stale in [*directory.glob("model*.safetensors"), directory / INDEX, directory / MTP]:
        if stale.name not in written:
            stale.unlink(missing_ok=True)
    for file in tokenizer_files:
        if file.parent.resolve() != directory.resolve():
            with atomic_write(directory / file.name) as temporary:
                shutil.copyfile(file, temporary)
    write_json(directory / "config.json", {**config.to_dict(), "torch_dtype": str(dtype).removeprefix("torch.")})


def load_model(directory: Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Transformer:
    """Read a model directory of any supported family.

    The weights decide where they differ from the config, and a log line says so: no tensor of a promised MTP block (exports of
    other programs) gives a model without one, another head beside a tied embedding gives a model with that head.

    Raises:
        CheckpointError: names the file and the key or tensor that is wrong.
    """
    directory = Path(directory)
    raw, config = _read_config(directory)
    with CheckpointReader(directory, raw.get("quantization_config")) as reader:
        config = _config_of_weights(config, reader)
        _check_tensors(config, reader)
        model = unfilled_model(config, dtype=dtype, device=device)
        _read_weights(model, reader)
    return model


def unfilled_model(config: ModelConfig, *, dtype: torch.dtype, device: torch.device | str = "cpu") -> Transformer:
    """A model whose weights are whatever its memory held, for `load_weights_into`; on "meta" without memory."""
    with torch.device("meta"):
        model = Transformer(config).to(dtype)
    return allocated(model, device)


def allocated(model: Transformer, device: torch.device | str) -> Transformer:
    """The model itself, with memory for its weights on a device."""
    # `to_empty` would do it by way of torch's compiler, whose import takes half a second.
    model._apply(lambda each: torch.empty(each.shape, dtype=each.dtype, device=device))  # type: ignore[no-untyped-call]
    for router in model.routers():
        router.load.zero_()
    return model


def load_weights_into(model: Transformer, directory: Path) -> None:
    """Replace a model's weights in place by those of a directory of the same architecture; types and devices stay.

    Raises:
        CheckpointError: as in load_model, or the directory holds another architecture (the differing key is named). The
            weights of the model are undefined after an error.
    """
    directory = Path(directory)
    raw, config = _read_config(directory)
    with CheckpointReader(directory, raw.get("quantization_config")) as reader:
        config = _config_of_weights(config, reader)
        for key, value in config.model_dump().items():
            mine = getattr(model.config, key)
            if value != mine and not key.endswith("_token_id") and key != "initializer_range":
                raise CheckpointError(f"{directory}/config.json: {key} = {value!r}, but the model to fill has {mine!r}")
        _check_tensors(config, reader)
        _read_weights(model, reader)


@contextmanager
def open_weights(directory: Path) -> Iterator[tuple[ModelConfig, Callable[[Part], Tensor]]]:
    """The config of a model directory and how to read a published tensor of it, in float32; no model is made.

    Raises:
        CheckpointError: as load_model.
    """
    raw, config = _read_config(directory)
    with CheckpointReader(directory, raw.get("quantization_config")) as reader:
        config = _config_of_weights(config, reader)
        _check_tensors(config, reader)

        def read(part: Part) -> Tensor:
            values = torch.empty(part.shape, dtype=torch.float32)
            reader.read_into(values, part.name)
            return values

        yield config, read


def load_config(directory: Path) -> ModelConfig:
    """The ModelConfig of a model directory, or of a config.json's path. Raises CheckpointError."""
    return _read_config(Path(directory))[1]


def _read_config(path: Path) -> tuple[dict[str, Any], ModelConfig]:
    file = path if path.suffix == ".json" else path / "config.json"
    try:
        raw = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{file}: not there; a model directory has a config.json and safetensors files") from error
    except (OSError, ValueError, RecursionError) as error:  # of a number with too many digits, of brackets too deep
        raise CheckpointError(f"{file}: cannot be read as JSON: {error}") from error
    if not isinstance(raw, dict):
        raise CheckpointError(f"{file}: must be a JSON object")
    try:
        return raw, ModelConfig.from_dict(raw)
    except ConfigError as error:
        raise CheckpointError(f"{file}: {error}") from error


def _config_of_weights(config: ModelConfig, reader: CheckpointReader) -> ModelConfig:
    """The config as the tensors of its directory have it."""
    mtp_names = {part.name for parts in mtp_name_table(config).values() for part in parts}
    if mtp_names and not mtp_names & reader.names:
        log.warning("%s: config.json has an MTP block, its weights are not there: loaded without it", reader.directory)
        config = config.model_copy(update={"num_nextn_predict_layers": 0})
    if config.tie_word_embeddings and HEAD in reader.names and not reader.are_equal(HEAD, EMBEDDING):
        log.warning("%s: config.json ties the head to the embedding, the file has another one: it is used", reader.directory)
        config = config.model_copy(update={"tie_word_embeddings": False})
    return config


def _check_tensors(config: ModelConfig, reader: CheckpointReader) -> None:
    """Names and shapes of a directory, before a model is made: a wrong size must not take memory."""
    layers, there = config.num_hidden_layers, len(reader.names)
    needed = sum(config.n_routed_experts if config.is_moe_layer(layer) else 1 for layer in range(layers))
    if needed > there:
        raise CheckpointError(
            f"{reader.directory}: config.json asks for {layers} layers and at least {needed} tensors, there are {there}"
        )
    table = name_table(config) | mtp_name_table(config)
    parts = [part for parts in table.values() for part in parts]
    known = {part.name for part in parts} | _redundant(config)
    unknown = sorted(name for name in reader.names - known if not name.endswith("rotary_emb.inv_freq"))
    if unknown:
        raise CheckpointError(f"{reader.directory}: tensor {unknown[0]} has no place in a {config.model_type} model")
    for part in parts:
        reader.check(part.name, part.shape)


@torch.no_grad()
def _read_weights(model: Transformer, reader: CheckpointReader) -> None:
    table = name_table(model.config) | mtp_name_table(model.config)
    state = model.state_dict()
    assert state.keys() == table.keys(), state.keys() ^ table.keys()
    for name, parts in table.items():
        rows = state[name].flatten(0, -2) if state[name].dim() > 1 else state[name]
        for part, piece in zip(parts, rows.split([part.shape[0] for part in parts]), strict=True):
            reader.read_into(piece, part.name)


def _redundant(config: ModelConfig) -> set[str]:
    """Names that a checkpoint may hold although the model needs nothing of them: copies, and an MTP block not asked for."""
    names = set(mtp_copies(config)) if config.family.has_mtp else set()
    if config.tie_word_embeddings:
        names.add(HEAD)
    return names


def _published(model: Transformer, table: NameTable, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a checkpoint, in the model's order."""
    state = merged_state_dict(model)
    for name, parts in table.items():
        rows = state[name].flatten(0, -2) if state[name].dim() > 1 else state[name]
        for part, piece in zip(parts, rows.split([part.shape[0] for part in parts]), strict=True):
            kept = torch.float32 if part.name.endswith(KEPT_IN_FLOAT32) else dtype
            yield part.name, piece.view(part.shape).to("cpu", kept).contiguous()


def _write_shards(tensors: dict[str, Tensor], directory: Path, shard_bytes: int) -> set[str]:
    """Write model.safetensors, or numbered files and their index; returns the file names."""
    shards: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name, tensor in tensors.items():
        if shards[-1] and filled + tensor.nbytes > shard_bytes:
            shards.append({})
            filled = 0
        shards[-1][name] = tensor
        filled += tensor.nbytes
    if len(shards) == 1:
        _write_safetensors(tensors, directory / SINGLE)
        return {SINGLE}
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _write_safetensors(shard, directory / file)
        weight_map |= dict.fromkeys(shard, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    write_json(directory / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
    return {*weight_map.values(), INDEX}


def _write_safetensors(tensors: dict[str, Tensor], path: Path) -> None:
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
