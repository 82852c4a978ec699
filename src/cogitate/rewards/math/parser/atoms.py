"""The smallest parts of an answer: numbers, words, brackets and texts. Part of the parser."""

from __future__ import annotations

import re
from fractions import Fraction

from cogitate.rewards.math.parser.commands import read_called_name, read_command, read_function
from cogitate.rewards.math.parser.cursor import Cursor
from cogitate.rewards.math.parser.names import subscripted
from cogitate.rewards.math.parser.nodes import (
    ALL_REAL_NUMBERS,
    BASES,
    ENGLISH_WORDS,
    FUNCTIONS,
    GREEK,
    INFINITY_WORDS,
    NO_SOLUTION,
    REAL_NUMBERS,
    Node,
)
from cogitate.rewards.math.parser.tokens import NotMathError, Token

_OPTION_LETTERS = re.compile(r"\(?[A-Z]\)?(?:\s*(?:,|and|or|&)+\s*\(?[A-Z]\)?)+")


def read_atom(parser: Cursor) -> Node:
    token = parser.at()
    if token is None:
        raise parser.refuse()
    if token.kind == "number":
        parser.position += 1
        if parser.is_symbol("_"):
            return read_based(parser, token)
        if parser.is_command("overline", "bar", "dot") and "." in token.text:
            return _repeating(parser, token)
        return number_node(token)
    if parser.begins_called_name():
        return read_called_name(parser)
    if token.kind == "symbol":
        return _bracketed(parser, token)
    if token.kind == "command":
        return read_command(parser)
    if token.kind == "text":
        return _styled(parser, token)
    return _word(parser, token)


def number_node(token: Token) -> Node:
    return Node("num", (), (token.value, token.text))


def _repeating(parser: Cursor, token: Token) -> Node:
    """`0.1\\overline{6}`: the decimals under the bar repeat for ever."""
    parser.position += 1
    period = parser.argument()
    if period.op != "num" or not period.value[1].isdigit() or token.value is None:
        raise NotMathError("a bar over something that is no decimals")
    places = len(token.text.partition(".")[2])
    digits = period.value[1]
    value = token.value + Fraction(int(digits), (10 ** len(digits) - 1) * 10**places)
    return Node("num", (), (value, f"{token.text}({digits})"))


def read_based(parser: Cursor, token: Token) -> Node:
    parser.position += 1
    base = parser.script(power=False)
    if base.op == "text":
        base = _base_in_words(base.value)
    if base.op != "num" or base.value[0].denominator != 1 or not 2 <= base.value[0] <= 36:
        raise NotMathError("a number with an index that is no base")
    return Node("based", (), (token.text, int(base.value[0])))


def _base_in_words(text: str) -> Node:
    """`two`, `base 2`; anything else is no base."""
    word = text.casefold().removeprefix("base").strip()
    value = int(word) if word.isascii() and word.isdigit() and len(word) < 3 else BASES.get(word)
    if value is None:
        raise NotMathError(f"{text!r} is no base")
    return Node("num", (), (Fraction(value), str(value)))


def _bracketed(parser: Cursor, token: Token) -> Node:
    if token.text == "{":
        return parser.group()
    if token.text == r"\{":
        return _braces(parser)
    if token.text == "|" and not parser.bars:
        parser.position += 1
        parser.bars += 1
        inner = parser.listing()
        parser.expect("|")
        parser.bars -= 1
        return Node("abs", (inner,))
    if token.text not in ("(", "["):
        raise parser.refuse()
    parser.position += 1
    bars, parser.bars = parser.bars, 0
    inner = parser.listing()
    parser.bars = bars
    if not parser.is_symbol(")", "]"):
        raise NotMathError("a bracket is not closed")
    closing = parser.take().text
    if inner.op == "list":
        return Node("bracket", inner.args, token.text + closing)
    if token.text + closing == "()":
        return inner
    if token.text + closing == "[]":
        return Node("bracket", (inner,), "[]") if inner.op != "matrix" else inner
    raise NotMathError("two different brackets around one value")


def _braces(parser: Cursor) -> Node:
    parser.position += 1
    if parser.is_symbol(r"\}"):
        parser.position += 1
        return Node("set")
    inner = parser.listing()
    parser.expect(r"\}")
    return Node("set", inner.args if inner.op == "list" else (inner,))


def _styled(parser: Cursor, token: Token) -> Node:
    """`\\text{...}`: a number or a letter counts as itself, anything else as words."""
    content = token.text.strip(" ().")
    if content.isdigit():
        parser.position += 1
        return Node("num", (), (Fraction(content), content))
    if len(content) == 1 and content.isalpha():
        parser.position += 1
        return subscripted(parser, content)
    parser.position += 1
    if content in FUNCTIONS:
        return read_function(parser, content)
    if parser.is_symbol("_") and content.isalnum():
        return read_based(parser, Token("text", content.upper()))
    inner = _inner(parser, content)
    if inner is not None:
        return inner
    return Node("text", (), token.text)


def _inner(parser: Cursor, content: str) -> Node | None:
    """What a text holds where it is a number with a unit, option letters side by side, or says that nothing is left."""
    if content[:1].isdigit() or _OPTION_LETTERS.fullmatch(content):
        try:
            return parser.inner(content)
        except NotMathError:
            return None
    if content.casefold() in ALL_REAL_NUMBERS:
        return REAL_NUMBERS
    return Node("set") if content.replace(" ", "").casefold().removeprefix("the") in NO_SOLUTION else None


def _word(parser: Cursor, token: Token) -> Node:
    """A run of letters: a function, a constant, or a product of one-letter names."""
    word = token.text
    if word in FUNCTIONS:
        parser.position += 1
        return read_function(parser, word)
    if word == "pi" or word in INFINITY_WORDS:
        parser.position += 1
        return Node("const", (), "pi" if word == "pi" else "infinity")
    if word.removeprefix("var").casefold() in GREEK:
        parser.position += 1
        return subscripted(parser, word)
    if len(word) == 1:
        parser.position += 1
        return subscripted(parser, word)
    if not word.isascii() or len(word) > 4 or word.casefold() in ENGLISH_WORDS:
        parser.position += 1
        return Node("text", (), word)
    _split_word(parser, token)
    return read_atom(parser)


def _split_word(parser: Cursor, token: Token) -> None:
    """Replace a run of letters by one token for each letter."""
    letters = [
        Token("word", letter, None, token.spaced and index == 0, token.position + index)
        for index, letter in enumerate(token.text)
    ]
    parser.tokens[parser.position : parser.position + 1] = letters
