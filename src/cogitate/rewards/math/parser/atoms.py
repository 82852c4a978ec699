"""The smallest parts of an answer: numbers, names, brackets, commands and environments. Part of the parser (syntax.py)."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from cogitate.rewards.math.parser.environments import read_environment
from cogitate.rewards.math.parser.measures import begins_unit
from cogitate.rewards.math.parser.nodes import (
    ACCENTS,
    ALL_REAL_NUMBERS,
    APPLIED_NAMES,
    BASES,
    BIG_OPERATORS,
    BINOMIALS,
    CONSTANT_COMMANDS,
    DOTS,
    ENGLISH_WORDS,
    FRACTIONS,
    FUNCTIONS,
    GREEK,
    INFINITY_WORDS,
    INVERTIBLE,
    NO_SOLUTION,
    PLAIN_SYMBOLS,
    REAL_NUMBERS,
    RELATIONS,
    STYLES,
    Node,
)
from cogitate.rewards.math.parser.tokens import NotMathError, Token

if TYPE_CHECKING:
    from cogitate.rewards.math.parser.syntax import Parser

MINUS_ONE = Node("neg", (Node("num", (), (Fraction(1), "1")),))
_OPTION_LETTERS = re.compile(r"\(?[A-Z]\)?(?:\s*(?:,|and|or|&)+\s*\(?[A-Z]\)?)+")


def begins_factor(parser: Parser) -> bool:
    token = parser.at()
    if token is None or parser.separates(token):
        return False
    if token.kind == "symbol":
        return token.text in ("(", "[", "{", r"\{") or (token.text == "|" and not parser.bars)
    if token.kind == "command":
        return token.text not in RELATIONS and token.text not in (
            "cup", "cap", "setminus", "backslash", "pm", "mp", "cdot", "times", "ast", "div", "end",
            "rfloor", "rceil", "rangle", "rvert", "rVert", "mid", "over", "choose", "pmod", "bmod", "mod",
        )  # fmt: skip
    return True


def read_atom(parser: Parser) -> Node:
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
    if token.kind == "symbol":
        return _bracketed(parser, token)
    if token.kind == "command":
        return read_command(parser)
    if token.kind == "text":
        return _styled(parser, token)
    return _word(parser, token)


def _repeating(parser: Parser, token: Token) -> Node:
    """`0.1\\overline{6}`: the decimals under the bar repeat for ever."""
    parser.position += 1
    period = read_argument(parser)
    if period.op != "num" or not period.value[1].isdigit() or token.value is None:
        raise NotMathError("a bar over something that is no decimals")
    places = len(token.text.partition(".")[2])
    digits = period.value[1]
    value = token.value + Fraction(int(digits), (10 ** len(digits) - 1) * 10**places)
    return Node("num", (), (value, f"{token.text}({digits})"))


def read_based(parser: Parser, token: Token) -> Node:
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


def _bracketed(parser: Parser, token: Token) -> Node:
    if token.text == "{":
        return read_group(parser)
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


def _braces(parser: Parser) -> Node:
    parser.position += 1
    if parser.is_symbol(r"\}"):
        parser.position += 1
        return Node("set")
    inner = parser.listing()
    parser.expect(r"\}")
    return Node("set", inner.args if inner.op == "list" else (inner,))


def read_group(parser: Parser) -> Node:
    """A LaTeX group; braces around several items are a set that lost its backslashes."""
    parser.expect("{")
    bars, parser.bars = parser.bars, 0
    inner = parser.listing()
    parser.bars = bars
    parser.expect("}")
    return Node("set", inner.args) if inner.op == "list" else inner


def read_command(parser: Parser) -> Node:
    name = parser.take().text
    if name in FRACTIONS:
        above = read_argument(parser)
        return Node("div", (above, read_argument(parser)))
    if name in BINOMIALS:
        above = read_argument(parser)
        return Node("binom", (above, read_argument(parser)))
    if name == "sqrt":
        return _root(parser)
    if name in FUNCTIONS:
        return _function(parser, name)
    if name in BIG_OPERATORS:
        return _big(parser, BIG_OPERATORS[name])
    if name == "begin":
        return read_environment(parser)
    if name in ("lfloor", "lceil", "langle", "lvert"):
        return _fence(parser, name)
    if name in CONSTANT_COMMANDS:
        return Node("const", (), CONSTANT_COMMANDS[name])
    if name in STYLES:
        return read_argument(parser)
    if name in ACCENTS:
        return _subscripted(parser, f"{name} {_letters(read_argument(parser))}")
    if name in ("emptyset", "varnothing"):
        return Node("set")
    if name in DOTS:
        return Node("var", (), "dots")
    if name.removeprefix("var").casefold() in GREEK or name in PLAIN_SYMBOLS:
        return _subscripted(parser, name.removeprefix("var") if name != "varnothing" else name)
    raise NotMathError(f"the command \\{name} is not read")


def read_argument(parser: Parser) -> Node:
    """The argument of a command: a group, one digit of a number, one letter of a word, or one atom."""
    if parser.is_symbol("{"):
        return read_group(parser)
    token = parser.at()
    if token is not None and token.kind in ("number", "word") and len(token.text) > 1:
        first, rest = token.text[0], token.text[1:]
        if token.kind == "number" and not token.text.isdigit():
            raise parser.refuse()
        value = (Fraction(first), Fraction(rest)) if token.kind == "number" else (None, None)
        parser.tokens[parser.position : parser.position + 1] = [
            Token(token.kind, first, value[0], token.spaced, token.position),
            Token(token.kind, rest, value[1], False, token.position + 1),
        ]
    return read_atom(parser)


def _root(parser: Parser) -> Node:
    degree = Node("num", (), (Fraction(2), "2"))
    if parser.is_symbol("["):
        parser.position += 1
        degree = parser.sum()
        parser.expect("]")
    radicand = read_group(parser) if parser.is_symbol("{") else read_atom(parser)
    return Node("root", (radicand, degree))


def _function(parser: Parser, name: str) -> Node:
    """`\\sin^2 x`, `\\log_2 8`, `\\sin(x)`: the argument is a bracket, else the factors up to the next function."""
    exponent = base = None
    while parser.is_symbol("^", "_", "**"):
        if parser.take().text == "_":
            base = parser.script(power=False)
        else:
            exponent = parser.script(power=True)
    if parser.is_symbol("(", "["):
        inner = read_atom(parser)
        arguments = inner.args if inner.op == "bracket" else (inner,)
    elif name == "sqrt":
        return Node("root", (read_atom(parser), Node("num", (), (Fraction(2), "2"))))
    else:
        argument = parser.unary()
        while begins_factor(parser) and not begins_function(parser) and not begins_unit(parser) and not parser.is_symbol("("):
            argument = Node("mul", (argument, parser.power()))
        arguments = (argument,)
    if name == "sqrt":
        return Node("root", (*arguments, Node("num", (), (Fraction(2), "2"))))
    if exponent == MINUS_ONE and name in INVERTIBLE:
        name, exponent = f"arc{name}", None
    node = Node("call", (*arguments, base) if base is not None else arguments, f"{name}_base" if base is not None else name)
    return node if exponent is None else Node("pow", (node, exponent))


def begins_function(parser: Parser) -> bool:
    token = parser.at()
    return token is not None and token.kind in ("command", "word") and (token.text in FUNCTIONS or token.text in BIG_OPERATORS)


def _big(parser: Parser, name: str) -> Node:
    below = above = Node("text", (), "")
    while parser.is_symbol("^", "_"):
        if parser.take().text == "_":
            below = _script_relation(parser)
        else:
            above = parser.script(power=True)
    return Node("bigop", (below, above, parser.product()), name)


def _script_relation(parser: Parser) -> Node:
    if not parser.is_symbol("{"):
        return read_atom(parser)
    parser.position += 1
    inner = parser.listing()
    parser.expect("}")
    return inner


def _fence(parser: Parser, name: str) -> Node:
    closing = {"lfloor": "rfloor", "lceil": "rceil", "langle": "rangle", "lvert": "rvert"}[name]
    inner = parser.listing()
    if not parser.is_command(closing):
        raise NotMathError(f"\\{name} is not closed")
    parser.position += 1
    if name == "langle":
        return Node("bracket", inner.args if inner.op == "list" else (inner,), "()")
    return Node({"lfloor": "floor", "lceil": "ceil", "lvert": "abs"}[name], (inner,))


def _styled(parser: Parser, token: Token) -> Node:
    """`\\text{...}`: a number or a letter counts as itself, anything else as words."""
    content = token.text.strip(" ().")
    if content.isdigit():
        parser.position += 1
        return Node("num", (), (Fraction(content), content))
    if len(content) == 1 and content.isalpha():
        parser.position += 1
        return _subscripted(parser, content)
    parser.position += 1
    if content in FUNCTIONS:
        return _function(parser, content)
    if parser.is_symbol("_") and content.isalnum():
        return read_based(parser, Token("text", content.upper()))
    inner = _inner(parser, content)
    if inner is not None:
        return inner
    return Node("text", (), token.text)


def _inner(parser: Parser, content: str) -> Node | None:
    """What a text holds where it is a number with a unit, option letters side by side, or says that nothing is left."""
    if content[:1].isdigit() or _OPTION_LETTERS.fullmatch(content):
        try:
            return parser.inner(content)
        except NotMathError:
            return None
    if content.casefold() in ALL_REAL_NUMBERS:
        return REAL_NUMBERS
    return Node("set") if content.replace(" ", "").casefold().removeprefix("the") in NO_SOLUTION else None


def _word(parser: Parser, token: Token) -> Node:
    """A run of letters: a function, a constant, or a product of one-letter names."""
    word = token.text
    if word in FUNCTIONS:
        parser.position += 1
        return _function(parser, word)
    if word == "pi" or word in INFINITY_WORDS:
        parser.position += 1
        return Node("const", (), "pi" if word == "pi" else "infinity")
    if word.removeprefix("var").casefold() in GREEK:
        parser.position += 1
        return _subscripted(parser, word)
    if len(word) == 1:
        parser.position += 1
        return _subscripted(parser, word)
    if not word.isascii() or len(word) > 4 or word.casefold() in ENGLISH_WORDS:
        parser.position += 1
        return Node("text", (), word)
    _split_word(parser, token)
    return read_atom(parser)


def _split_word(parser: Parser, token: Token) -> None:
    """Replace a run of letters by one token for each letter."""
    letters = [
        Token("word", letter, None, token.spaced and index == 0, token.position + index)
        for index, letter in enumerate(token.text)
    ]
    parser.tokens[parser.position : parser.position + 1] = letters


def _subscripted(parser: Parser, name: str) -> Node:
    """A name with its index, prime and, where it is a function's, its arguments."""
    while parser.is_symbol("_"):
        parser.position += 1
        index = parser.script(power=False)
        name = f"{name}_{_letters(index)}" if _is_plain(index) else name
        if not _is_plain(index):
            return Node("call", (index,), f"{name}_")
    while parser.is_symbol("'"):
        parser.position += 1
        name += "'"
    if parser.is_symbol("(") and name.rstrip("'0123456789_") in APPLIED_NAMES:
        inner = read_atom(parser)
        return Node("call", inner.args if inner.op == "bracket" else (inner,), name)
    constants = {"e": "e", "i": "i"}
    return Node("const", (), constants[name]) if name in constants else Node("var", (), name)


def number_node(token: Token) -> Node:
    return Node("num", (), (token.value, token.text))


def _is_plain(node: Node) -> bool:
    """Whether an index is a mere name: a number, a letter, words."""
    return node.op in ("num", "text", "const") or (
        node.op == "var" and len(str(node.value)) == 1 and not str(node.value).islower()
    )


def _letters(node: Node) -> str:
    """The text of a name or number, for use in a longer name."""
    if node.op == "num":
        return str(node.value[1])
    if node.op in ("var", "const", "text"):
        return str(node.value)
    if node.op == "mul":
        return "".join(_letters(arg) for arg in node.args)
    raise NotMathError("a name that is an expression")
