"""The tokenizer inside a GGUF file as tokenizer.json and tokenizer_config.json: byte-level BPE, or Llama 2's with scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from cogitate.errors import CheckpointError
from cogitate.model.files.gguf.keys import Keys
from cogitate.runtime import atomic_write, write_json

MODEL, PRE, TOKENS = "tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens"
ENDS = ("eos", "eot", "eom")
CONTROL, USER_DEFINED = 3, 4  # token types of GGUF
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SPLITS = {"llama-bpe": _LLAMA3, "llama3": _LLAMA3, "qwen2": _QWEN2, "deepseek-r1-qwen": _QWEN2}
MOST_LETTERS = 512  # of a piece with a score: every way to cut it in two is tried
GPT2_LIKE = {"gpt-2": False, "smollm": True}  # True: digits one by one
DEFAULT = "default"  # also where no key says it: each expression divides the pieces of the one before
DEFAULT_SPLITS = (
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
)


@dataclass(frozen=True)
class ReadTokenizer:
    """What goes into tokenizer.json, tokenizer_config.json and generation_config.json (None: no such file)."""

    tokenizer: Tokenizer
    settings: dict[str, Any]
    generation: dict[str, Any] | None

    def write(self, out: Path) -> None:
        with atomic_write(out / "tokenizer.json") as temporary:
            self.tokenizer.save(str(temporary))
        write_json(out / "tokenizer_config.json", self.settings)
        if self.generation is not None:
            write_json(out / "generation_config.json", self.generation)


def read_tokenizer(keys: Keys, rows: int) -> ReadTokenizer:
    """The tokenizer of a file whose embedding has so many rows.

    Raises:
        CheckpointError: a kind of tokenizer that is not supported, or one that contradicts itself.
    """
    for key in (MODEL, TOKENS):
        if key not in keys:
            raise CheckpointError(f"{keys.file}: {key} is missing")
    tokens = keys.texts(TOKENS)
    if len(tokens) > rows:
        raise CheckpointError(f"{keys.file}: {TOKENS} has {len(tokens)} entries, the embedding has {rows} rows")
    seen: set[str] = set()
    for token in tokens:
        if token in seen:
            raise CheckpointError(f"{keys.file}: {TOKENS}: {token[:60]!r} stands twice")
        seen.add(token)
    types = keys.numbers("tokenizer.ggml.token_type")
    if types and len(types) != len(tokens):
        raise CheckpointError(f"{keys.file}: tokenizer.ggml.token_type has {len(types)} entries for {len(tokens)} tokens")
    ids = _token_ids(keys, len(tokens))
    kind = keys.text(MODEL)
    if kind not in KINDS:
        raise keys.error(MODEL, f"not supported; supported are {' and '.join(KINDS)}")
    tokenizer = KINDS[kind](keys, tokens, ids)
    marked = [(token, kind) for token, kind in zip(tokens, types, strict=False) if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_tokens([AddedToken(token, special=kind == CONTROL, normalized=False) for token, kind in marked])
    ends = sorted({ids[name] for name in ENDS if name in ids})
    return ReadTokenizer(tokenizer, _settings(keys, tokens, ids), {"eos_token_id": ends} if ends else None)


def _token_ids(keys: Keys, count: int) -> dict[str, int]:
    """The tokens with a part of their own, by llama.cpp's name for it."""
    ids = {}
    for name in ("bos", "unknown", "padding", *ENDS):
        key = f"tokenizer.ggml.{name}_token_id"
        token_id = keys.integer(key)
        if token_id is None:
            continue
        if not 0 <= token_id < count:
            raise CheckpointError(f"{keys.file}: {key} = {token_id}: there are {count} tokens")
        ids[name] = token_id
    return ids


def _settings(keys: Keys, tokens: list[str], ids: dict[str, int]) -> dict[str, Any]:
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for ours, theirs in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        if theirs in ids:
            settings[f"{ours}_token"] = tokens[ids[theirs]]
    settings["add_bos_token"] = keys.flag("tokenizer.ggml.add_bos_token", _adds_begin(keys))
    settings["clean_up_tokenization_spaces"] = False
    template = keys.text("tokenizer.chat_template")
    if template is not None:
        settings["chat_template"] = template
    return settings


def _adds_begin(keys: Keys) -> bool:
    """What llama.cpp does where the file does not say: Llama's tokenizers begin every text with a token of their own."""
    return keys.text(MODEL) == "llama" or SPLITS.get(keys.text(PRE, "") or "") == _LLAMA3


def _byte_level(keys: Keys, tokens: list[str], ids: dict[str, int]) -> Tokenizer:
    keys.without_effect("tokenizer.ggml.scores", "tokenizer.ggml.add_space_prefix")
    pre = keys.text(PRE, DEFAULT) or DEFAULT
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = [_merge(keys, merge, vocabulary) for merge in keys.texts("tokenizer.ggml.merges")]
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
    elif pre == DEFAULT:
        splits = [pre_tokenizers.Split(Regex(expression), behavior="isolated") for expression in DEFAULT_SPLITS]
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
    else:
        raise keys.error(PRE, f"not supported; supported are {', '.join(sorted({*SPLITS, *GPT2_LIKE, DEFAULT}))}")
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _merge(keys: Keys, merge: str, vocabulary: dict[str, int]) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    if any(token not in vocabulary for token in (left, right, left + right)):
        raise CheckpointError(f"{keys.file}: tokenizer.ggml.merges: {merge[:60]!r} does not make a token of two tokens")
    return left, right


def _with_scores(keys: Keys, tokens: list[str], ids: dict[str, int]) -> Tokenizer:
    """SentencePiece BPE: a merge exists where two pieces make a third, and pieces with higher scores merge first."""
    keys.without_effect("tokenizer.ggml.merges", PRE)  # llama.cpp goes by the scores
    scores = keys.numbers("tokenizer.ggml.scores")
    if len(scores) != len(tokens):
        raise CheckpointError(f"{keys.file}: tokenizer.ggml.scores has {len(scores)} entries for {len(tokens)} tokens")
    if max(map(len, tokens), default=0) > MOST_LETTERS:
        raise CheckpointError(f"{keys.file}: {TOKENS}: a piece of {max(map(len, tokens))} letters, at most {MOST_LETTERS}")
    rank = {token: index for index, token in enumerate(tokens)}
    merges: list[tuple[float, int, int, tuple[str, str]]] = []
    for token, score in zip(tokens, scores, strict=True):
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in rank and right in rank:
                merges.append((-score, rank[left], rank[right], (left, right)))
    unknown = tokens[ids.get("unknown", 0)]
    model = models.BPE(
        vocab=rank, merges=[merge[-1] for merge in sorted(merges)], unk_token=unknown, fuse_unk=True, byte_fallback=True
    )
    tokenizer = Tokenizer(model)
    prefix = [normalizers.Prepend("▁")] if keys.flag("tokenizer.ggml.add_space_prefix", True) else []
    tokenizer.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return tokenizer


KINDS = {"gpt2": _byte_level, "llama": _with_scores}
