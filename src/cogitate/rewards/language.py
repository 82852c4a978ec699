"""Language consistency: the share of words of the target language (arXiv:2501.12948, section 2.3.2).

A word is a Latin word of two letters or more (or a one-letter English word), or one Chinese character. Code, formulas, numbers,
links, tags and names are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cogitate.rewards.verdicts import wrong
from cogitate.tokenizer.thinking import blank_code, split_thinking
from cogitate.types import Verdict

_LEFT_OUT = re.compile(
    r"\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|(?<!\\)\$(?=[^\s\d$])[^$\n]*?(?<=\S)\$(?!\d)"
    r"|\\[A-Za-z]+(?:\s*\{[^{}]*\})*|https?://\S+|</?[a-z_]+>",
    re.DOTALL,
)
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’][A-Za-z\u00c0-\u024f]+)*")


@dataclass(frozen=True, slots=True)
class WordCount:
    """Words of the target language and of all languages."""

    target: int
    all: int

    @property
    def share(self) -> float:
        return self.target / self.all


def grade_language(prediction: str, language: str, *, threshold: float = 0.9) -> Verdict:
    """The share as the score, over the thinking where there is any, else over everything; right from `threshold` upwards."""
    parts = split_thinking(prediction)
    text = parts.thinking if parts.thinking and parts.thinking.strip() else prediction
    count = count_words(text, language)
    if not count.all:
        return wrong("there are no words to judge")
    reason = f"{count.target} of {count.all} words are {language}"
    return Verdict("right" if count.share >= threshold else "wrong", count.share, reason, None)


def language_share(text: str, language: str) -> float | None:
    """Share of words in the target language, 0..1; None where there are no words at all."""
    count = count_words(text, language)
    return count.share if count.all else None


def count_words(text: str, language: str) -> WordCount:
    """Count words by script: Chinese characters for `zh`, Latin words for any other language."""
    text = _LEFT_OUT.sub(" ", blank_code(text))
    chinese = len(_HAN.findall(text))
    latin = len(_LATIN_WORD.findall(text))
    return WordCount(chinese if language == "zh" else latin, chinese + latin)
