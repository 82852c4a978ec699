"""Which piece of a sentence is its mathematical value: "so the total is **$1,200**, give or take nothing" says 1,200.

The choice looks at the sentence alone, never at the reference, and takes one piece only: a text that names many numbers commits
to one of them.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from cogitate.rewards.answer import strip_markdown

_RUN_ON = re.compile(r"<\|(?:im_start|im_end|eot_id|end|endoftext|user|start_header_id)\|>.*", re.DOTALL)
_SEGMENT = re.compile(
    r"\$\$(.{1,1000}?)\$\$|\\\[(.{1,1000}?)\\\]|\\\((.{1,1000}?)\\\)"
    r"|(?<![\\$])\$(?!\s*\d[\d.,]*\s+[A-Za-z]{2})([^$\n]+?)(?<!\\)\$",
    re.DOTALL,
)
_GROUP = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_PIECE = re.compile(
    rf"(?<![A-Za-z0-9_.\\'’])(?:[-+(\[]\s*){{0,20}}[$€£¥]?\s*"
    rf"(?:\\[A-Za-z]+(?:\s*{_GROUP})*|\d+(?::\d+)+(?!\d)|\d+(?:,\d{{3}})*(?:[.,]\d+)?(?:[eE][-+]?\d+)?|\.\d+|[a-zA-Z](?![a-zA-Z])"
    r"|pi\b|sqrt\b|exp\b)"
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
_SENTENCE = re.compile(
    r"(?<=[.!?])(?<!i\.e\.)(?<!e\.g\.)(?<!approx\.)(?<![ap]\.m\.)(?<!\bMrs\.)(?<!\b[MD]r\.)(?<!\bsq\.)\s+|(?<=[。！？])|\n+"
)
_IN_CODE = re.compile(r"(?:[A-Za-z_]\(|[\"'`_])$")
_JOINT = re.compile(
    r"(?:\s*[A-Za-z]{1,20}){0,2}[,;\s]*(?<![A-Za-z])(?:and|or|alternatively|maybe|perhaps|possibly|&|et|ou|和|或|与|及|、)\s*|\s*、\s*",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\bnot|n['’]t|\bcannot|\bnever|\bno|\bneither|\bexcept|\bbut|不是|不等于|并非)\s*(?:be\s+|equal\s+to\s+|have\s+been\s+)?$"
    r"|\b(?:at\s+(?:least|most)|(?:more|less|fewer|greater|smaller|larger|other)\s+than|up\s+to|nearly|almost|maybe|perhaps"
    r"|possibly|probably|(?:could|might|may)\s+be|in\s+the\s+range|twice|double|triple|log|half"
    r"|(?:opposite|square|cube|root|reciprocal|inverse|logarithm|half|third|quarter|double|triple|factorial|multiple|power)\s+of)\s*$"
    r"|(?:至少|至多|可能是?|也许是?|大于|小于|超过)\s*$",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"(?:\b(?:negative|minus)|负)\s*$", re.IGNORECASE)
# Words behind a number that make it another one, or no answer.
_RESHAPED = re.compile(
    r"[\s-]*(?:(?:hundred|thousand|million|billion|trillion|dozen)s?|squared|cubed|factorial|recurring|repeating"
    r"|(?:third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|hundredth|thousandth)s|halves|or\s+(?:more|less|fewer|so)"
    r"|(?:times|plus|minus|(?:divided|multiplied)\s+by|(?:more|less|fewer|greater)\s+than|mod(?:ulo)?|to\s+the\s+power|choose|over"
    r"|out\s+of|to)(?=\s+(?:of\s+)?[$\\(]?-?\d)"
    r"|(?:is|was)(?:\s+not|n['’]t)\s+(?:the\s+|my\s+|our\s+)?(?:correct\s+|right\s+|final\s+)?(?:answer|solution|result|correct|right)"
    r"|(?:is|was|would\s+be)\s+(?:wrong|incorrect|false|impossible))\b",
    re.IGNORECASE,
)


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
        ends = {match.end() for match in _COPULA.finditer(plain)}
        behind = [piece for piece in pieces if piece[0] in ends or piece[0] - 1 in ends]
        chosen = behind[-1] if behind else pieces[0 if announced else -1]
    before = plain[max(0, chosen[0] - 60) : chosen[0]]
    if _DENIED.search(before):
        return None
    if _NEGATIVE.search(before):
        return f"-{chosen[2]}"
    return " or ".join(piece[2] for piece in _side_by_side(plain, pieces, chosen))


def _side_by_side(
    sentence: str, pieces: list[tuple[int, int, str]], chosen: tuple[int, int, str]
) -> list[tuple[int, int, str]]:
    """The chosen piece with those that "and" and "or" join to it: "3 or 4" commits to no single number."""
    first = last = pieces.index(chosen)
    if _is_calculation(chosen[2]):
        return [chosen]
    while last + 1 < len(pieces) and _JOINT.fullmatch(sentence[pieces[last][1] : pieces[last + 1][0]]):
        last += 1
    while first and _JOINT.fullmatch(sentence[pieces[first - 1][1] : pieces[first][0]]):
        first -= 1
    return pieces[first : last + 1]


def _is_calculation(text: str) -> bool:
    """`13 + 5 = 18`, but not `x = 18`."""
    before, equals, _ = text.partition("=")
    return bool(equals) and re.search(r"\d", before) is not None and re.search(r"[A-Za-z]", before) is None


def _pieces(sentence: str) -> list[tuple[int, int, str]]:
    """(start, end, text) of everything that looks like a value: formulas between delimiters, and numbers in running text."""
    pieces: list[tuple[int, int, str]] = []
    for match in _SEGMENT.finditer(sentence):
        content = next(group for group in match.groups() if group is not None)
        tail = re.match(r"\s*(?:\\?%|percent\b|pct\b|°)", sentence[match.end() :])
        pieces.append((match.start(), match.end(), content.strip() + (tail.group() if tail else "")))
    starts, ends = [piece[0] for piece in pieces], [piece[1] for piece in pieces]
    for match in _PIECE.finditer(sentence):
        before = bisect_left(starts, match.end())
        if before and ends[before - 1] > match.start():
            continue  # within a formula
        text = match.group().strip().rstrip(",.;:").strip()
        if _IN_CODE.search(sentence[max(0, match.start() - 2) : match.start()]):
            continue
        text = re.sub(r"(?<=\d)\s+[a-zA-Z]$", "", text)  # a unit's or an article's lone letter
        if re.search(r"\d|\\", text):
            reshaped = _RESHAPED.match(sentence, match.end())
            behind, end = (" " + reshaped.group().lstrip(" -"), reshaped.end()) if reshaped else ("", match.end())
            pieces.append((match.start(), end, _balanced(text) + behind))
    return sorted(piece for piece in pieces if piece[2] and _holds_value(piece[2]))


def _holds_value(text: str) -> bool:
    """A digit or a formula; a lone name such as $ABC$ states no value."""
    return (
        re.search(r"\d|[=<>]|\\(?:frac|dfrac|sqrt|pi|infty|begin|text|le|ge|ne|cup|emptyset)", text) is not None
        or len(text) == 1
    )


def _balanced(text: str) -> str:
    """Without a closing bracket that opens nothing, and without an opening one that is never closed."""
    text = text.rstrip("([ ")
    while text and text.count(")") > text.count("(") and text.endswith(")"):
        text = text[:-1].rstrip()
    while text and text.count("(") > text.count(")") and text.startswith("("):
        text = text[1:].lstrip()
    return text
