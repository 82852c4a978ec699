"""A tokenizer.json as the keys of a GGUF file: byte-level BPE that llama.cpp splits as we do; every other one is refused.

llama.cpp knows a pre-tokenizer by name alone (`tokenizer.ggml.pre`), so a tokenizer can be written where one of these names
stands for the same expression.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.tokenizer import CONTROL, GPT2_LIKE, MODEL, PRE, SPLITS, TOKENS, USER_DEFINED

log = logging.getLogger(__name__)
NORMAL, UNUSED = 1, 5  # token types of GGUF beside CONTROL and USER_DEFINED
PLAIN_BPE = {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback"}
WHOLE_WORDS_FIRST = {"llama-bpe"}  # where a piece that is a token needs no merges (ignore_merges)
NFC = {"type": "NFC"}


@dataclass(frozen=True)
class TokenizerToWrite:
    """What a GGUF file says of a tokenizer.

    Attributes:
        table: the contents of tokenizer.json.
        ids: tokens with a part of their own, by llama.cpp's name for it: bos, eos, eot, eom, unknown, padding.
        adds_begin: every text begins with bos.
        where: the file, for messages.
    """

    table: Mapping[str, Any]
    ids: Mapping[str, int]
    adds_begin: bool
    chat_template: str | None
    where: Path


def tokenizer_fields(tokenizer: TokenizerToWrite, rows: int) -> dict[str, Any]:
    """The keys `tokenizer.*` for a model whose embedding has `rows` rows; rows without a token get one that is never used.

    Raises:
        CheckpointError: llama.cpp would split text in another way, or cannot express a token.
    """
    table, where = tokenizer.table, tokenizer.where
    pre = find_pre(table, where)
    texts, types = list_tokens(table, rows, where)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in table["model"]["merges"]]
    fields: dict[str, Any] = {
        MODEL: "gpt2",
        PRE: pre,
        TOKENS: texts,
        "tokenizer.ggml.token_type": np.array(types),
        "tokenizer.ggml.merges": merges,
        **{f"tokenizer.ggml.{name}_token_id": token_id for name, token_id in tokenizer.ids.items() if token_id < rows},
        "tokenizer.ggml.add_bos_token": tokenizer.adds_begin,
    }
    if tokenizer.chat_template is not None:
        fields["tokenizer.chat_template"] = tokenizer.chat_template
    return fields


def find_pre(table: Mapping[str, Any], where: Path) -> str:
    """llama.cpp's name of the pre-tokenizer that splits as this tokenizer does."""
    model, normalizer = table["model"], table.get("normalizer")
    differing = sorted(key for key in PLAIN_BPE if model.get(key))
    if model.get("type") != "BPE" or differing:
        reason = f"its BPE has {', '.join(differing)}" if differing else f"its model is {model.get('type')}"
        raise CheckpointError(f"{where}: {reason}: only byte-level BPE can be written as GGUF")
    steps = splitting_steps(table.get("pre_tokenizer"))
    pre = next((name for name, known in known_steps().items() if known == steps), None)
    if pre is None:
        raise CheckpointError(
            f"{where}: llama.cpp has no pre-tokenizer that splits text as this one does, so the model would read other tokens "
            f"than it was trained on; can be written: tokenizers that split as {', '.join(known_steps())}"
        )
    if bool(model.get("ignore_merges")) != (pre in WHOLE_WORDS_FIRST):
        raise CheckpointError(
            f"{where}: ignore_merges = {bool(model.get('ignore_merges'))}: with pre-tokenizer {pre} llama.cpp does the opposite"
        )
    if normalizer not in (None, NFC):
        raise CheckpointError(f"{where}: normalizer {normalizer.get('type')}: llama.cpp leaves text as it is")
    if normalizer == NFC:
        log.warning("%s: llama.cpp does not normalise text to NFC: give it text that is (most is)", where)
    return pre


def known_steps() -> dict[str, list[dict[str, Any]]]:
    """For each name of llama.cpp's the steps by which `tokenizers` splits the same way."""
    known: dict[str, list[dict[str, Any]]] = {}
    for name in ("llama-bpe", "qwen2"):
        split = {"type": "Split", "pattern": {"Regex": SPLITS[name]}, "behavior": "Isolated", "invert": False}
        known[name] = [split, byte_level(use_regex=False)]
    for name in ("smollm", "gpt-2"):
        digits = [{"type": "Digits", "individual_digits": True}] if GPT2_LIKE[name] else []
        known[name] = [*digits, byte_level(use_regex=True)]
    return known


def byte_level(*, use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "use_regex": use_regex}


def splitting_steps(pre_tokenizer: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The steps of a pre-tokenizer, without `trim_offsets`, which changes no token."""
    if pre_tokenizer is None:
        return []
    nested = pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]
    return [{key: value for key, value in step.items() if key != "trim_offsets"} for step in nested]


def list_tokens(table: Mapping[str, Any], rows: int, where: Path) -> tuple[list[str], list[int]]:
    """The text and the type of each row of the embedding; a control token without a row (a padding token that was added
    later) is left out, since no text is written with it."""
    text_of = {token_id: token for token, token_id in table["model"]["vocab"].items()}
    types = dict.fromkeys(text_of, NORMAL)
    for added in table["added_tokens"]:
        widened = [key for key in ("lstrip", "rstrip", "single_word") if added.get(key)]
        if widened:
            raise CheckpointError(f"{where}: token {added['content']!r} has {widened[0]}, which llama.cpp does not do")
        text_of[added["id"]] = added["content"]
        types[added["id"]] = CONTROL if added["special"] or looks_special(added["content"]) else USER_DEFINED
    beyond = sorted(token_id for token_id, kind in types.items() if token_id >= rows and kind != CONTROL)
    if beyond:
        raise CheckpointError(f"{where}: token {beyond[0]} is {text_of[beyond[0]]!r}, but the embedding has {rows} rows")
    return [text_of.get(row, f"[PAD{row}]") for row in range(rows)], [types.get(row, UNUSED) for row in range(rows)]


def looks_special(token: str) -> bool:
    """Control tokens that some tokenizers leave unmarked, by their form: as llama.cpp's converter takes them."""
    return any(token.startswith(f"<{bar}") and token.endswith(f"{bar}>") for bar in ("|", "｜"))
