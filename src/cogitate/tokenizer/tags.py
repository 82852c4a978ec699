"""The tags that a model writes, where they are not R1's, and the one place where they meet the definition of `thinking`.

Everything that reads a completion knows R1's tags alone. A model may think in others, `<reasoning>` or `[THINK]`: its text is
translated once, where it is decoded, and text for it once, where its prompt is made. Each of its tags then changes places with
R1's tag of the same role. The exchange is its own inverse, so nothing is lost, and an R1 tag that such a model writes gains
nothing: it is read as the model's own tag, which is text to all readers. Transcripts and data sets therefore hold R1's tags,
whatever the model writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cogitate.tokenizer.thinking import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN

THINKING_KEY, ANSWER_KEY = "thinking_tags", "answer_tags"  # in tokenizer_config.json, of a model that has others than R1's
OF_R1 = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
LONGEST_TAG = 48  # tokens at the end of a prompt among which a tag is looked for
_TAG = re.compile(r"[^\s`'\"\\]{3,40}")


@dataclass(frozen=True)
class Tags:
    """What opens and closes the thinking, and the answer."""

    thinking: tuple[str, str] = (THINK_OPEN, THINK_CLOSE)
    answer: tuple[str, str] = (ANSWER_OPEN, ANSWER_CLOSE)

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.thinking, *self.answer)

    def fault(self) -> str:
        """Why these cannot be read apart, one sentence; "" where they can."""
        for tag in self.all:
            if not _TAG.fullmatch(tag):
                return (
                    f"{tag!r} cannot be a tag: it has 3 to 40 characters, none of them white space, a quote, ` or a backslash"
                )
        for number, tag in enumerate(self.all):
            for other, known in enumerate((*self.all, *OF_R1)):
                itself = tag == known and other % len(OF_R1) == number
                if (tag in known or known in tag) and not itself:
                    return f"{tag!r} and {known!r} cannot be told apart: no tag may be part of another, those of R1 included"
        return ""

    def exchange(self, text: str) -> str:
        """The model's text with R1's tags, or a text with R1's tags as the model writes it."""
        return self._pattern.sub(lambda found: self._partner[found.group()], text) if self._partner else text

    def settings(self) -> dict[str, list[str]]:
        """The keys of tokenizer_config.json that name what is not R1's."""
        pairs = {THINKING_KEY: (self.thinking, R1_TAGS.thinking), ANSWER_KEY: (self.answer, R1_TAGS.answer)}
        return {key: list(own) for key, (own, usual) in pairs.items() if own != usual}

    @cached_property
    def _partner(self) -> dict[str, str]:
        pairs = [(own, usual) for own, usual in zip(self.all, OF_R1, strict=True) if own != usual]
        return {**dict(pairs), **{usual: own for own, usual in pairs}}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._partner)))


R1_TAGS = Tags()


def read_tags(settings: Mapping[str, Any]) -> Tags:
    """The tags that a tokenizer_config.json names; R1's where it names none.

    Raises:
        ValueError: a key holds something else, or the tags cannot be told apart.
    """
    pairs: dict[str, tuple[str, str]] = {}
    for key in (THINKING_KEY, ANSWER_KEY):
        value = settings.get(key)
        if value is None:
            continue
        if not isinstance(value, list) or len(value) != 2 or not all(isinstance(tag, str) for tag in value):
            raise ValueError(f"{key} = {value!r}: must be a list of two texts, what opens and what closes")
        pairs[key] = (value[0], value[1])
    tags = Tags(pairs.get(THINKING_KEY, R1_TAGS.thinking), pairs.get(ANSWER_KEY, R1_TAGS.answer))
    if fault := tags.fault():
        raise ValueError(f"{THINKING_KEY} and {ANSWER_KEY}: {fault}")
    return tags
