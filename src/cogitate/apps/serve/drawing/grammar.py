"""Answers that follow a JSON schema, by llguidance. The thinking before the answer is free."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from cogitate.engine.thinking.budget import TagFinder
from cogitate.tokenizer.bpe import FILE, Tokenizer

LARGEST_SCHEMA, DEEPEST_SCHEMA = 64 << 10, 32  # characters, levels
# One way to put white space, so that a model cannot write it for ever.
WRITING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class SchemaError(ValueError):
    """A schema that cannot be followed, in one sentence."""


class Grammars:
    """Makes grammars for the tokens of one model."""

    def __init__(self, tokenizer: Tokenizer, directory: Path, texts: Sequence[bytes]):
        self._texts, self._vocabulary = texts, len(texts)
        self._ends = sorted(tokenizer.end_ids)
        self._closes = tokenizer.tags.thinking[1].encode()
        self._path = str(directory / FILE)
        self._inner: LLTokenizer | None = None

    def of_schema(self, schema: Mapping[str, Any], *, thinks: bool) -> Callable[[], AnswerGrammar]:
        """What makes the grammar of each completion. Takes as long as the schema is complex.

        Args:
            thinks: the prompt has opened the thinking: the answer begins when it is closed.

        Raises:
            SchemaError: it is too large, or no JSON schema that llguidance knows.
        """
        text = json.dumps(schema)
        if len(text) > LARGEST_SCHEMA:
            raise SchemaError(f"the schema has {len(text)} characters; {LARGEST_SCHEMA} are allowed")
        if depth_of(schema) > DEEPEST_SCHEMA:
            raise SchemaError(f"the schema has more than {DEEPEST_SCHEMA} levels")
        try:
            grammar = LLMatcher.grammar_from_json_schema(text, overrides=WRITING)  # type: ignore[arg-type]  # some of its keys
        except ValueError as error:
            raise SchemaError(first_line(error)) from error
        matcher = LLMatcher(self._tokenizer(), grammar, log_level=0)
        if matcher.is_error():
            raise SchemaError(first_line(matcher.get_error()))
        return lambda: AnswerGrammar(matcher.deep_copy(), self._texts, self._closes if thinks else None)

    def _tokenizer(self) -> LLTokenizer:
        if self._inner is None:
            self._inner = LLTokenizer(self._path, n_vocab=self._vocabulary, eos_token=self._ends)
        return self._inner


class AnswerGrammar:
    """Follows one completion.

    Args:
        closes: the tag after which the answer begins; None: it begins at once.

    Attributes:
        failure: why it cannot be followed further, "" while it can: a step was beyond llguidance's bounds.
    """

    def __init__(self, matcher: LLMatcher, texts: Sequence[bytes], closes: bytes | None):
        self._matcher, self._texts = matcher, texts
        self._finder = None if closes is None else TagFinder(closes)
        self._read = 0
        self.failure = ""
        self._mask = np.zeros(-(-len(texts) // 32), dtype=np.int32)

    def restrict(self, token_ids: np.ndarray, logits_V: Tensor) -> None:
        """Forbid what the schema does not allow next. After the whole answer an end token alone may come."""
        for number in range(self._read, len(token_ids)):
            token = int(token_ids[number])
            if self._finder is None:
                self._matcher.consume_token(token)
            elif self._finder.feed(self._texts[token], number) is not None:
                self._finder = None
        self._read = len(token_ids)
        if self._finder is not None:
            return
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        allowed = np.unpackbits(self._mask.view(np.uint8), bitorder="little")[: len(logits_V)]
        if self._matcher.is_error() or not allowed.any():
            self.failure = first_line(self._matcher.get_error())
            return
        logits_V[torch.from_numpy(allowed == 0)] = -torch.inf


def depth_of(value: Any) -> int:
    """Levels of objects and lists, counted without recursion."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST_SCHEMA:
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1
    return depth


def first_line(error: object) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else "no JSON schema"
