"""A text as a reader gets it: thinking and answer apart, what is wrong with it marked in place, the words that were changed.

Pieces of text go to the page as (text, mark) pairs, never as markup: whatever a model wrote stays text there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from diff_match_patch import diff_match_patch

from cogitate.errors import ConfigError
from cogitate.evals.text_metrics import MIXED_BELOW, PARAGRAPH_WORDS, PIECE, WINDOW, WORD_CHARACTERS, length_in_words
from cogitate.rewards.language import language_share
from cogitate.tokenizer.thinking import split_thinking

Span = tuple[int, int, str]  # first character, first behind, what is wrong there
Pieces = list[tuple[str, str]]

_WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
_BETWEEN_PARAGRAPHS = re.compile(r"\n\s*\n")  # as text_metrics cuts them
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")
_FENCE = re.compile(r"(?:```|~~~).*?(?:```|~~~|\Z)", re.DOTALL)
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_PRIVATE = 0x100000  # plane 16 is private: each different word of two texts becomes one of its characters
_MOST_WORDS = 65_000


def read(text: str, *, language: str, faults: Sequence[str] = (), extracted: str | None = None) -> dict[str, Any]:
    """The parts of a text, each as pieces; `preamble` is what stands before the thinking."""
    parts = split_thinking(text)
    thinking, answer = (parts.thinking or "").strip(), parts.answer_region.strip()
    spans = [span for name in faults for span in SPANS.get(name, no_spans)(thinking, language)]
    return {
        "preamble": parts.preamble.strip(),
        "thinking": None if parts.thinking is None else pieces(thinking, spans),
        "answer": pieces(answer, answer_spans(answer, extracted)),
        "words": length_in_words(text),
    }


def pieces(text: str, spans: Sequence[Span]) -> Pieces:
    """The text cut at its marks; of marks that overlap the one that begins first stays, of those the shorter."""
    found: Pieces = []
    at = 0
    for start, end, name in sorted(spans):
        if start >= at and end > start:
            found += [(text[at:start], ""), (text[start:end], name)]
            at = end
    return [piece for piece in [*found, (text[at:], "")] if piece[0]]


def answer_spans(text: str, extracted: str | None) -> list[Span]:
    """Where the answer that the grader found stands last."""
    at = text.rfind(extracted) if extracted else -1
    return [(at, at + len(extracted), "answer")] if extracted and at >= 0 else []


def no_spans(thinking: str, language: str) -> Iterator[Span]:
    return iter(())


def mixed(thinking: str, language: str) -> Iterator[Span]:
    """Sentences with too many words of another language."""
    for match in _SENTENCE.finditer(thinking):
        try:
            share = language_share(match.group(), language)
        except ConfigError:  # a language that cannot be judged here
            return
        if share is not None and share < MIXED_BELOW:
            yield match.start(), match.end(), "mixed language"


def overlong(thinking: str, language: str) -> Iterator[Span]:
    start = 0
    for end, behind in [*(match.span() for match in _BETWEEN_PARAGRAPHS.finditer(thinking)), (len(thinking), 0)]:
        if length_in_words(thinking[start:end]) > PARAGRAPH_WORDS:
            yield start, end, "overlong paragraph"
        start = behind


def code_blocks(thinking: str, language: str) -> Iterator[Span]:
    for match in _FENCE.finditer(thinking):
        yield match.start(), match.end(), "code block"


def repeated(thinking: str, language: str) -> Iterator[Span]:
    """Runs of four words that stood before, not a hundred words earlier."""
    words = list(_WORD.finditer(thinking))
    last_at: dict[tuple[str, ...], int] = {}
    begun: tuple[int, int] | None = None
    for number in range(len(words) - PIECE + 1):
        piece = tuple(word.group().lower() for word in words[number : number + PIECE])
        if number - last_at.get(piece, -WINDOW) < WINDOW:
            start, end = words[number].start(), words[number + PIECE - 1].end()
            if begun is not None and start <= begun[1]:
                begun = begun[0], end
            else:
                if begun is not None:
                    yield *begun, "repetition"
                begun = start, end
        last_at[piece] = number
    if begun is not None:
        yield *begun, "repetition"


def unreadable(thinking: str, language: str) -> Iterator[Span]:
    for at, character in enumerate(thinking):
        if character == "\ufffd" or (character not in "\n\t\r" and unicodedata.category(character) in ("Cc", "Co", "Cn")):
            yield at, at + 1, "unreadable characters"
    for match in _WORD.finditer(thinking):
        if len(match.group()) > WORD_CHARACTERS and match.group()[0].isalpha():
            yield match.start(), match.end(), "unreadable characters"


SPANS: dict[str, Callable[[str, str], Iterator[Span]]] = {
    "mixed language": mixed,
    "overlong paragraph": overlong,
    "code block": code_blocks,
    "repetition": repeated,
    "unreadable characters": unreadable,
}


def words(text: str) -> list[str]:
    """Words and signs, without the white space between them."""
    return [token for token in _TOKEN.findall(text) if not token.isspace()]


def word_diff(before: str, after: str) -> list[tuple[int, str]]:
    """[(-1 deleted, 0 equal, 1 inserted, text)], by whole words; white space between two changes belongs to both."""
    codes: dict[str, str] = {}

    def encode(text: str) -> str:
        return "".join(codes.setdefault(token, chr(_PRIVATE + len(codes))) for token in _TOKEN.findall(text))

    matcher = diff_match_patch()
    if len(set(_TOKEN.findall(before)) | set(_TOKEN.findall(after))) > _MOST_WORDS:
        return [(int(op), text) for op, text in matcher.diff_main(before, after)]
    coded = matcher.diff_main(encode(before), encode(after), False)
    words = {code: word for word, code in codes.items()}
    joined: list[tuple[int, str]] = []
    for place, (op, text) in enumerate(coded):
        between = 0 < place < len(coded) - 1 and op == 0 and all(words[code].isspace() for code in text)
        joined += [(-1, text), (1, text)] if between else [(op, text)]
    matcher.diff_cleanupMerge(joined)  # of codes, so that it never cuts a word
    return [(int(op), "".join(words[code] for code in text)) for op, text in joined if text]


def delta(before: str, after: str) -> str:
    """The edit in diff-match-patch's short form, e.g. `=12\\t-3\\t+abc`."""
    return str(diff_match_patch().diff_toDelta(word_diff(before, after)))
