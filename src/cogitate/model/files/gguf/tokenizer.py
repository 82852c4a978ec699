"""The tokenizer inside a GGUF file as tokenizer.json and tokenizer_config.json: byte-level BPE, or Llama 2's with scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from cogitate.errors import CheckpointError
from cogitate.runtime import atomic_write, write_json

CONTROL, USER_DEFINED = 3, 4  # token types of GGUF
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SPLITS = {"llama-bpe": _LLAMA3, "llama3": _LLAMA3, "qwen2": _QWEN2, "deepseek-r1-qwen": _QWEN2}
GPT2_LIKE = {"gpt-2": False, "default": False, "smollm": True}  # True: digits one by one


def write_tokenizer(fields: dict[str, Any], out: Path, file: Path) -> None:
    """Write both files into `out`. Raises CheckpointError for a kind of tokenizer that is not supported."""
    for key in ("tokenizer.ggml.model", "tokenizer.ggml.tokens"):
        if key not in fields:
            raise CheckpointError(f"{file}: {key} is missing")
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    kind = fields["tokenizer.ggml.model"]
    if kind == "gpt2":
        tokenizer = _byte_level(fields, tokens, file)
    elif kind == "llama":
        tokenizer = _with_scores(fields, tokens, file)
    else:
        raise CheckpointError(f"{file}: tokenizer.ggml.model = {kind!r}: not supported; supported are gpt2 and llama")
    types: Sequence[int] = fields.get("tokenizer.ggml.token_type", [])
    marked = [(token, kind) for token, kind in zip(tokens, types, strict=False) if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_tokens([AddedToken(token, special=kind == CONTROL, normalized=False) for token, kind in marked])
    with atomic_write(out / "tokenizer.json") as temporary:
        tokenizer.save(str(temporary))
    write_json(out / "tokenizer_config.json", _settings(fields, tokens, file))
    ends = {fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")} - {None}
    if ends:
        write_json(out / "generation_config.json", {"eos_token_id": sorted(ends)})


def _settings(fields: dict[str, Any], tokens: list[str], file: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for ours, theirs in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        key = f"tokenizer.ggml.{theirs}_token_id"
        token_id = fields.get(key)
        if token_id is None:
            continue
        if not 0 <= token_id < len(tokens):
            raise CheckpointError(f"{file}: {key} = {token_id}: there are {len(tokens)} tokens")
        settings[f"{ours}_token"] = tokens[token_id]
    settings["add_bos_token"] = bool(fields.get("tokenizer.ggml.add_bos_token", _adds_begin(fields)))
    settings["clean_up_tokenization_spaces"] = False
    if "tokenizer.chat_template" in fields:
        settings["chat_template"] = fields["tokenizer.chat_template"]
    return settings


def _adds_begin(fields: dict[str, Any]) -> bool:
    """What llama.cpp does where the file does not say: Llama's tokenizers begin every text with a token of their own."""
    return fields["tokenizer.ggml.model"] == "llama" or SPLITS.get(fields.get("tokenizer.ggml.pre", "")) == _LLAMA3


def _byte_level(fields: dict[str, Any], tokens: list[str], file: Path) -> Tokenizer:
    pre = fields.get("tokenizer.ggml.pre", "default")
    merges = [tuple(merge.split(" ")) for merge in fields.get("tokenizer.ggml.merges", [])]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=SPLITS.get(pre) == _LLAMA3))
    if pre in SPLITS:
        split = pre_tokenizers.Split(Regex(SPLITS[pre]), behavior="isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
        if SPLITS[pre] == _QWEN2:
            tokenizer.normalizer = normalizers.NFC()
    elif pre in GPT2_LIKE:
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        steps = [pre_tokenizers.Digits(individual_digits=True), byte_level] if GPT2_LIKE[pre] else [byte_level]
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    else:
        known = ", ".join(sorted({*SPLITS, *GPT2_LIKE}))
        raise CheckpointError(f"{file}: tokenizer.ggml.pre = {pre!r}: not supported; supported are {known}")
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _with_scores(fields: dict[str, Any], tokens: list[str], file: Path) -> Tokenizer:
    """SentencePiece BPE: a merge exists where two pieces make a third, and pieces with higher scores merge first."""
    scores: Sequence[float] = fields.get("tokenizer.ggml.scores", ())
    if len(scores) != len(tokens):
        raise CheckpointError(f"{file}: tokenizer.ggml.scores has {len(scores)} entries for {len(tokens)} tokens")
    rank = {token: index for index, token in enumerate(tokens)}
    merges: list[tuple[float, int, int, tuple[str, str]]] = []
    for token, score in zip(tokens, scores, strict=True):
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in rank and right in rank:
                merges.append((-score, rank[left], rank[right], (left, right)))
    unknown = tokens[fields.get("tokenizer.ggml.unknown_token_id", 0)]
    model = models.BPE(
        vocab=rank, merges=[merge[-1] for merge in sorted(merges)], unk_token=unknown, fuse_unk=True, byte_fallback=True
    )
    tokenizer = Tokenizer(model)
    prefix = [normalizers.Prepend("▁")] if fields.get("tokenizer.ggml.add_space_prefix", True) else []
    tokenizer.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return tokenizer
