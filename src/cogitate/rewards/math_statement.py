"""Which piece of a sentence is its mathematical value: "so the total is **$1,200**, give or take nothing" says 1,200.

The choice looks at the sentence alone, never at the reference, and takes one piece only: a text that names many numbers commits
to one of them.
"""

from __future__ import annotations

import re

from cogitate.rewards.answer import strip_markdown

_RUN_ON = re.compile(r"<\|(?:im_start|im_end|eot_id|end|endoftext|user|start_header_id)\|>.*", re.DOTALL)
_SEGMENT = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<![\\$])\$(?!\s*\d[\d.,]*\s+[A-Za-z]{2})([^$\n]+?)(?<!\\)\$", re.DOTALL
)
_GROUP = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_PIECE = re.compile(
    rf"(?<![A-Za-z0-9_.\\])(?:[-+(\[]\s*)*[$€£¥]?\s*"
    rf"(?:\\[A-Za-z]+(?:\s*{_GROUP})*|\d+(?:,\d{{3}})*(?:[.,]\d+)?(?:[eE][-+]?\d+)?|\.\d+|[a-zA-Z](?![a-zA-Z])|pi\b|sqrt\b|exp\b)"
    rf"(?:\s*(?:\\[A-Za-z]+(?:\s*{_GROUP})*|\\[%$]|\d+(?:,\d{{3}})*(?:\.\d+)?|[-+*/^=<>!(){{}}\[\]|%°≤≥≠×÷·π²³]"
    rf"|[a-zA-Z](?![a-zA-Z])|pi\b|sqrt\b|exp\b|,\s*(?=[-\\\d(])))*"
    r"(?:\s*(?:percent|percentage|pct|degrees|cm|mm|km|kg|m|g)\b)?"
)
_COPULA = re.compile(
    r"(?:\b(?:is|are|was|were|be|equals?|makes?|gives?|totals?|becomes?|est|es|ist|sont|has|have|had)\b|[=是为]|等于|一共|总共有?|共有?|还剩下?|需要)"
    r"\s*:?\s*(?:(?:about|approximately|exactly|only|just|now|still|then|thus|therefore|equal\s+to|a\s+total\s+of|left\s+with)\s+)*"
    r"(?=[-+(\[]?\s*[$€£¥]?\s*(?:\d|\.\d|\\))",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_IN_CODE = re.compile(r"(?:[A-Za-z_]\(|[\"'`_])$")
_DENIED = re.compile(r"(?:\bnot|n['’]t|\bnever|\bno|\bneither|\bexcept|不是|不等于|并非)\s*(?:equal\s+to\s+)?$", re.IGNORECASE)


def find_value(text: str, *, announced: bool) -> str | None:
    """The piece of text that states the value; None where no piece does.

    Args:
        announced: the text follows an announcement ("the answer is"), so its beginning counts most; else its end does.
    """
    text = _RUN_ON.sub("", text).strip()
    sentences = [sentence.strip() for sentence in _SENTENCE.split(text) if sentence and sentence.strip()]
    for sentence in sentences if announced else reversed(sentences):
        piece = _value_of_sentence(sentence, announced=announced)
        if piece is not None:
            return piece
    return None


def _value_of_sentence(sentence: str, *, announced: bool) -> str | None:
    pieces = _pieces(strip_markdown(sentence))
    if not pieces:
        return None
    plain = strip_markdown(sentence)
    if announced and pieces[0][0] <= 1:
        chosen = pieces[0]
    else:
        copulas = [match.end() for match in _COPULA.finditer(plain)]
        behind = [piece for piece in pieces if any(0 <= piece[0] - end <= 1 for end in copulas)]
        chosen = behind[-1] if behind else pieces[0 if announced else -1]
    return None if _DENIED.search(plain[: chosen[0]]) else chosen[2]


def _pieces(sentence: str) -> list[tuple[int, int, str]]:
    """(start, end, text) of everything that looks like a value: formulas between delimiters, and numbers in running text."""
    pieces: list[tuple[int, int, str]] = []
    for match in _SEGMENT.finditer(sentence):
        content = next(group for group in match.groups() if group is not None)
        tail = re.match(r"\s*(?:\\?%|percent\b|pct\b|°)", sentence[match.end() :])
        pieces.append((match.start(), match.end(), content.strip() + (tail.group() if tail else "")))
    taken = [(start, end) for start, end, _ in pieces]
    for match in _PIECE.finditer(sentence):
        if any(start < match.end() and match.start() < end for start, end in taken):
            continue
        text = match.group().strip().rstrip(",.;:").strip()
        if _IN_CODE.search(sentence[: match.start()]):
            continue
        text = re.sub(r"(?<=\d)\s+[a-zA-Z]$", "", text)  # a unit's or an article's lone letter
        if re.search(r"\d|\\", text):
            pieces.append((match.start(), match.end(), _balanced(text)))
    return sorted(piece for piece in pieces if piece[2] and _holds_value(piece[2]))


def _holds_value(text: str) -> bool:
    """A digit or a formula; a lone name such as $ABC$ states no value."""
    return (
        re.search(r"\d|[=<>]|\\(?:frac|dfrac|sqrt|pi|infty|begin|text|le|ge|ne|cup|emptyset)", text) is not None
        or len(text) == 1
    )


def _balanced(text: str) -> str:
    """Without a closing bracket that opens nothing, and without an opening one that is never closed."""
    while text and text.count(")") > text.count("(") and text.endswith(")"):
        text = text[:-1].rstrip()
    while text and text.count("(") > text.count(")") and text.startswith("("):
        text = text[1:].lstrip()
    return text
