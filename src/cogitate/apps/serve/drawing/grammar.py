"""Answers that follow a JSON schema, by llguidance. The thinking before the answer is free."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from cogitate.engine.thinking.budget import TagFinder
from cogitate.tokenizer.bpe import FILE, Tokenizer
from cogitate.tokenizer.tools.call_forms import NAME, CallForm
from cogitate.tokenizer.tools.turns import Function, depth_of

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
        text = text_of_schema(schema)
        try:
            grammar = LLMatcher.grammar_from_json_schema(text, overrides=WRITING)  # type: ignore[arg-type]  # some of its keys
        except ValueError as error:
            raise SchemaError(first_line(error)) from error
        return self._follow(grammar, thinks=thinks)

    def of_calls(
        self,
        form: CallForm,
        functions: Sequence[Function],
        *,
        control_ids: Mapping[str, int],
        thinks: bool,
        free: bool = False,
        one: bool = False,
    ) -> Callable[[], AnswerGrammar]:
        """The same for an answer that calls some of these functions. Where a schema names its arguments itself and says nothing
        of further ones, none are written.

        Args:
            control_ids: texts that are single tokens of the model's.
            free: text may stand before, between and after calls, and nothing else; else the answer is calls, at least one.
            one: no more than one call.
        """

        def written(text: str) -> str:
            tags = [tag for tag in control_ids if tag in text]
            parts = re.split(f"({'|'.join(map(re.escape, tags))})", text) if tags else [text]
            return " ".join(f"<[{control_ids[part]}]>" if part in tags else json.dumps(part) for part in parts if part)

        if free and not form.opens:
            raise SchemaError("strict cannot be followed in this model's form of calls unless a call is required")
        further = "" if one else f"({written(form.between)} {written(form.opens)} call)*"
        opens = form.begins + form.opens
        if not free:
            lines = [f"start: {written(opens)} call {further} {written(form.ends)}"]
        else:
            lazy = "[lazy]" if not any(tag in opens for tag in control_ids) else ""
            lines = ["%llguidance {}", f"start: (opening call {further} {written(form.ends)})* TEXT"]
            # Tags that are tokens are read as text, too: they may not be spelled in other tokens.
            tags = [tag for tag in (form.begins, form.opens) if tag in control_ids]
            lines.append(" & ".join(["TEXT: /(.|\\n)*/", *(f"~/(.|\\n)*{re.escape(tag)}(.|\\n)*/" for tag in tags)]))
            lines.append(f"opening{lazy}: TEXT {written(opens)}")
        lines.append("call: " + " | ".join(f"call{number}" for number in range(len(functions))))
        for number, function in enumerate(functions):
            before, after = form.before.removeprefix(form.opens).replace(NAME, function.name), written(form.after)
            lines.append(f"call{number}: {written(before)} arguments{number} {after}")
            lines.append(f"arguments{number}: %json {text_of_schema(with_named_arguments(function.parameters))}")
        if sum(map(len, lines)) > LARGEST_SCHEMA:
            raise SchemaError(f"the schemas have more than {LARGEST_SCHEMA} characters together")
        return self._follow(LLMatcher.grammar_from_lark("\n".join(lines)), thinks=thinks)

    def _follow(self, grammar: str, *, thinks: bool) -> Callable[[], AnswerGrammar]:
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


def with_named_arguments(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a call's arguments, without further ones where it names all itself."""
    named = "properties" in schema and not schema.keys() & {"$ref", "allOf", "anyOf", "oneOf"}
    return {**({"additionalProperties": False} if named else {}), "x-guidance": WRITING, **schema}


def text_of_schema(schema: Mapping[str, Any]) -> str:
    """As JSON. Raises SchemaError: it is too large."""
    text = json.dumps(schema)
    if len(text) > LARGEST_SCHEMA:
        raise SchemaError(f"the schema has {len(text)} characters; {LARGEST_SCHEMA} are allowed")
    if depth_of(schema, DEEPEST_SCHEMA) > DEEPEST_SCHEMA:
        raise SchemaError(f"the schema has more than {DEEPEST_SCHEMA} levels")
    return text


def first_line(error: object) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else "no JSON schema"
