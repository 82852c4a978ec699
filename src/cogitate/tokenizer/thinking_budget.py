"""Thinking budgets from texts, and the bytes of tokens, by which an engine finds tags in what it draws."""

from __future__ import annotations

import json
import re

from cogitate.errors import ConfigError
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import ThinkingBudget

WAIT = {"en": "Wait", "zh": "等等"}  # by language; s1 (arXiv:2501.19393), section 3.1
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def make_thinking_budget(
    tokenizer: Tokenizer,
    *,
    at_most: int | None = None,
    at_least: int = 0,
    waits: int = 1,
    closing_phrase: str = "",
    language: str = "en",
) -> ThinkingBudget:
    """A budget in the tags of the tokenizer's model.

    Args:
        waits: counts where `at_least` is given.
        closing_phrase: what is said before the thinking is closed at its limit.
        language: that of the thinking, whose "Wait" is set.

    Raises:
        ConfigError: the bounds contradict each other, a text has no effect, or it holds a tag.
    """
    closes = tokenizer.tags.thinking[1]
    if closing_phrase and at_most is None:
        raise ConfigError(f"closing phrase {closing_phrase!r}: changes nothing without a limit of thinking tokens")
    if any(tag in closing_phrase for tag in tokenizer.tags.all):
        raise ConfigError(f"closing phrase {closing_phrase!r}: must hold no tag; the closing tag follows it by itself")
    spaced = [closes] if closes in tokenizer.control_ids else [f" {closes}"]
    closing = [f"\n{closing_phrase}"] if closing_phrase else []
    written = closes.encode()
    budget = ThinkingBudget(
        tags=tokenizer.tags.thinking,
        closing_ids=tuple(token for text in [*closing, *spaced] for token in tag_ids(tokenizer, text)),
        rest_ids=tuple(() if not had else rest_ids(tokenizer, written[had:]) for had in range(len(written))),
        wait_ids=tuple(tokenizer.encode(f" {WAIT[language]}" if language == "en" else WAIT[language])) if at_least else (),
        at_most=at_most,
        at_least=at_least,
        waits=waits if at_least else 0,
    )
    if fault := budget.fault():
        raise ConfigError(f"thinking budget: {fault}")
    return budget


def tag_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The tokens of a text, a tag that is one token of the model's being this one."""
    control = tokenizer.control_ids.get(text)
    return tokenizer.encode(text) if control is None else [control]


def rest_ids(tokenizer: Tokenizer, rest: bytes) -> tuple[int, ...]:
    """The tokens of the rest of a tag; () where it begins within a character, or cannot be written without
    a space before it."""
    try:
        text = rest.decode()
    except UnicodeDecodeError:
        return ()
    ids = tokenizer.encode(text)
    return tuple(ids) if tokenizer.decode(ids) == text else ()


def token_bytes(tokenizer: Tokenizer, vocab_size: int) -> list[bytes]:
    """The bytes of each token as `Tokenizer.decode` shows it: b"" for special tokens that are no tags, and for numbers that are
    no token's. A word's first space is there where the token holds it.

    Args:
        vocab_size: rows of the model, which may be more than the tokenizer has tokens.
    """
    inner = tokenizer.inner
    by_letter = letters_of_bytes() if '"ByteLevel"' in json.dumps(json.loads(inner.to_str())["decoder"]) else None
    added = {token_id: token.content for token_id, token in inner.get_added_tokens_decoder().items()}
    texts = [b""] * vocab_size
    for text, token_id in inner.get_vocab().items():
        if token_id >= vocab_size:
            continue
        if token_id in added:
            texts[token_id] = tokenizer.decode([token_id]).encode()
        elif by_letter is not None:
            texts[token_id] = b"".join(by_letter.get(letter, letter.encode()) for letter in text)
        elif byte := _BYTE.fullmatch(text):
            texts[token_id] = bytes([int(byte.group(1), 16)])
        else:
            texts[token_id] = text.replace("\u2581", " ").encode()
    return texts


def letters_of_bytes() -> dict[str, bytes]:
    """The letter that byte-level BPE writes for each byte: itself where it can be seen, else one from 256 on (GPT-2)."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): bytes([byte]) for byte in seen} | {chr(256 + n): bytes([byte]) for n, byte in enumerate(others)}
