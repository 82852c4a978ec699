"""`cogitate export`: a model as a Hugging Face directory, as one GGUF file, or a stage's adapter alone; with a model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from cogitate.apps.model_card.card import CARD, write_card
from cogitate.apps.model_card.facts import gather_facts
from cogitate.errors import ArtifactError, CheckpointError, ConfigError
from cogitate.model.files.adapter import ADAPTER, BESIDE_PEFT, SETTINGS
from cogitate.model.files.export import TEXT_FILES, Dtype, export_model
from cogitate.model.files.gguf.export import Quantisation, export_gguf
from cogitate.model.files.gguf.write_tokenizer import TokenizerToWrite
from cogitate.recipe.models import find_model, read_config
from cogitate.recipe.run_directory.store import MANIFEST, load_manifest
from cogitate.runtime import atomic_write, write_json
from cogitate.tokenizer.bpe import CONFIG_FILE, FILE, Tokenizer, token_text
from cogitate.tokenizer.chat_template import ChatTemplate

END_NAMES = ("eos", "eot", "eom")  # llama.cpp's names of what ends a text, a turn, a message
MARKS = {"bos": "bos_token", "unknown": "unk_token", "padding": "pad_token"}  # llama.cpp's name: that of tokenizer_config.json


def export(
    model: str,
    out: Path,
    *,
    dtype: Dtype | None,
    released_layout: bool,
    gguf: Quantisation | None,
    adapter: bool,
    results: Path | None,
    say: Callable[[str], None],
) -> str:
    """Write what is asked for to `out`, and its model card; returns a line that says what it is.

    Args:
        results: a directory of `cogitate eval --benchmarks`, for the card.

    Raises:
        ConfigError: options that exclude each other.
        ArtifactError, CheckpointError: the model cannot be found, read, or written in that form.
    """
    chosen = [name for name, given in (("--gguf", gguf is not None), ("--adapter", adapter)) if given]
    layout = [name for name, given in (("--dtype", dtype is not None), ("--released-layout", released_layout)) if given]
    if len(chosen) > 1 or (chosen and layout):
        raise ConfigError(f"{chosen[0]} and {[*chosen[1:], *layout][0]} exclude each other: give one of them")
    source = find_model(model)
    if results is not None:
        gather_facts(source, results)  # refused before anything is written
    if gguf is not None:
        if out.is_dir():
            raise ConfigError(f"--out {out}: a directory; --gguf writes one file: name it")
        export_as_gguf(source, out, gguf, say=say)
        card_beside(source, out, results, gguf, say=say)
        return f"model: {out} ({gguf})"
    if adapter:
        base = export_adapter(source, out)
        write_card(source, out, results=results)
        if (out / BESIDE_PEFT).is_file():
            say(
                f"{out / BESIDE_PEFT}: routers' biases and the MTP block's adapter, which PEFT has no place for; "
                "base and adapter alone are not the whole of what was trained"
            )
        return f"adapter: {out}" + (f", of {base}" if base else "")
    dtype = dtype or "bfloat16"
    export_model(source, out, dtype=dtype, released_layout=released_layout)
    write_card(source, out, results=results, form=dtype)
    return f"model: {out}"


def card_beside(
    source: Path, file: Path, results: Path | None, quantisation: Quantisation, *, say: Callable[[str], None]
) -> None:
    """The card in the folder of a single file; one that is there stays, since the folder may hold other things."""
    if (file.parent / CARD).exists():
        say(f"{file.parent / CARD}: is there already and stays; the model has no card of its own")
        return
    write_card(source, file.parent, results=results, form=quantisation)


def export_adapter(source: Path, out: Path) -> str | None:
    """Copy the adapter of a stage that was trained by LoRA, with the model it belongs to written into its settings.

    Returns:
        that model, None where the run does not tell.

    Raises:
        ArtifactError: the stage has none.
    """
    folder = source / ADAPTER
    if not (folder / SETTINGS).is_file():
        raise ArtifactError(
            f"{source}: has no adapter: it was not trained with runtime.lora_rank, or by a version that kept the sum alone"
        )
    base = find_base(source)
    out.mkdir(parents=True, exist_ok=True)
    for file in [*sorted(folder.glob("*.safetensors")), *(source / name for name in TEXT_FILES)]:
        if file.is_file():
            with atomic_write(out / file.name) as temporary:
                shutil.copyfile(file, temporary)
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    write_json(out / SETTINGS, {**settings, "base_model_name_or_path": base})
    return base


def find_base(source: Path) -> str | None:
    """The model that a stage's training started from, which is its first input; None outside of a run."""
    if not (source / MANIFEST).is_file():
        return None
    start = next(iter(load_manifest(source)["inputs"]), None)
    given = read_config(source.parent).get("inputs", {})
    if start is None:
        return None
    return str(given[start]) if start in given else str(source.parent / start)


def export_as_gguf(model: Path, file: Path, quantisation: Quantisation, *, say: Callable[[str], None]) -> None:
    """Write a model directory as a GGUF file with its tokenizer and chat template.

    Raises:
        CheckpointError: llama.cpp has no such model or tokenizer; see export_gguf.
    """
    tokenizer = read_tokenizer_to_write(model)
    file.parent.mkdir(parents=True, exist_ok=True)
    export_gguf(model, file, quantisation, tokenizer)
    if tokenizer.chat_template is None:
        say(f"{model}: has no chat template, so the file has none: programs that chat with it take one of their own")


def read_tokenizer_to_write(model: Path) -> TokenizerToWrite:
    """The tokenizer of a model directory as a GGUF file names its parts.

    Raises:
        CheckpointError: it cannot be read; it begins texts with anything but bos; more than three tokens end a completion.
    """
    tokenizer = Tokenizer.load(model)
    named = {name: token_text(tokenizer.settings.get(key)) for name, key in MARKS.items()}
    ids = {name: tokenizer.inner.token_to_id(text) for name, text in named.items() if text is not None}
    ends = [tokenizer.end_id, *sorted(tokenizer.end_ids - {tokenizer.end_id})]
    if len(ends) > len(END_NAMES):
        raise CheckpointError(f"{model}: {len(ends)} tokens end a completion: GGUF names {len(END_NAMES)}")
    if tokenizer.prefix_ids not in ((), (ids.get("bos"),)):
        raise CheckpointError(
            f"{model / CONFIG_FILE}: texts begin with tokens {list(tokenizer.prefix_ids)}: "
            "llama.cpp can put bos_token there and nothing else"
        )
    template = ChatTemplate.load(model)
    return TokenizerToWrite(
        table=json.loads(tokenizer.inner.to_str()),
        ids=dict(zip(END_NAMES, ends, strict=False))
        | {name: token_id for name, token_id in ids.items() if token_id is not None},
        adds_begin=bool(tokenizer.prefix_ids),
        chat_template=None if template is None else template.source,
        where=model / FILE,
    )
