"""Commands of LaTeX and functions: fractions, roots, sums with bounds, fences, environments. Part of the parser."""

from __future__ import annotations

from fractions import Fraction

from cogitate.rewards.math.parser.cursor import Cursor
from cogitate.rewards.math.parser.environments import read_environment
from cogitate.rewards.math.parser.measures import begins_unit
from cogitate.rewards.math.parser.names import letters, subscripted
from cogitate.rewards.math.parser.nodes import (
    ACCENTS,
    BIG_OPERATORS,
    BINOMIALS,
    CALLED_NAMES,
    CONSTANT_COMMANDS,
    DOTS,
    FRACTIONS,
    FUNCTIONS,
    GREEK,
    INVERTIBLE,
    PLAIN_SYMBOLS,
    STYLES,
    Node,
)
from cogitate.rewards.math.parser.tokens import NotMathError

MINUS_ONE = Node("neg", (Node("num", (), (Fraction(1), "1")),))


def read_command(parser: Cursor) -> Node:
    name = parser.take().text
    if name in FRACTIONS:
        above = parser.argument()
        return Node("div", (above, parser.argument()))
    if name in BINOMIALS:
        above = parser.argument()
        return Node("binom", (above, parser.argument()))
    if name == "sqrt":
        return _root(parser)
    if name in FUNCTIONS:
        return read_function(parser, name)
    if name in BIG_OPERATORS:
        return _big(parser, BIG_OPERATORS[name])
    if name == "begin":
        return read_environment(parser)
    if name in ("lfloor", "lceil", "langle", "lvert"):
        return _fence(parser, name)
    if name in CONSTANT_COMMANDS:
        return Node("const", (), CONSTANT_COMMANDS[name])
    if name in STYLES:
        return parser.argument()
    if name in ACCENTS:
        return subscripted(parser, f"{name} {letters(parser.argument())}")
    if name in ("emptyset", "varnothing"):
        return Node("set")
    if name in DOTS:
        return Node("var", (), "dots")
    if name.removeprefix("var").casefold() in GREEK or name in PLAIN_SYMBOLS:
        return subscripted(parser, name.removeprefix("var") if name != "varnothing" else name)
    raise NotMathError(f"the command \\{name} is not read")


def _root(parser: Cursor) -> Node:
    degree = Node("num", (), (Fraction(2), "2"))
    if parser.is_symbol("["):
        parser.position += 1
        degree = parser.sum()
        parser.expect("]")
    radicand = parser.group() if parser.is_symbol("{") else parser.atom()
    return Node("root", (radicand, degree))


def read_function(parser: Cursor, name: str) -> Node:
    """`\\sin^2 x`, `\\log_2 8`, `\\sin(x)`: the argument is a bracket, else the factors up to the next function."""
    exponent = base = None
    while parser.is_symbol("^", "_", "**"):
        if parser.take().text == "_":
            base = parser.script(power=False)
        else:
            exponent = parser.script(power=True)
    if parser.is_symbol("(", "["):
        inner = parser.atom()
        arguments = inner.args if inner.op == "bracket" else (inner,)
    elif name == "sqrt":
        return Node("root", (parser.atom(), Node("num", (), (Fraction(2), "2"))))
    else:
        argument = parser.unary()
        while parser.begins_factor() and not begins_function(parser) and not begins_unit(parser) and not parser.is_symbol("("):
            argument = Node("mul", (argument, parser.power()))
        arguments = (argument,)
    if name == "sqrt":
        return Node("root", (*arguments, Node("num", (), (Fraction(2), "2"))))
    if exponent == MINUS_ONE and name in INVERTIBLE:
        name, exponent = f"arc{name}", None
    node = Node("call", (*arguments, base) if base is not None else arguments, f"{name}_base" if base is not None else name)
    return node if exponent is None else Node("pow", (node, exponent))


def read_called_name(parser: Cursor) -> Node:
    """`abs(x)`, `binomial(5, 2)`, `arsinh(1)`: a name of programs, or one of mathematics that LaTeX has no command for."""
    name = CALLED_NAMES[parser.take().text.strip()]
    inner = parser.atom()
    arguments = inner.args if inner.op == "bracket" and inner.value == "()" else (inner,)
    if len(arguments) != (2 if name in ("binom", "div") else 1) and name not in ("max", "min"):
        raise NotMathError(f"{name} with {len(arguments)} arguments")
    return Node(name, arguments) if name in ("abs", "floor", "ceil", "fact", "binom", "div") else Node("call", arguments, name)


def begins_function(parser: Cursor) -> bool:
    token = parser.at()
    if token is None or token.kind not in ("command", "word"):
        return False
    return token.text in FUNCTIONS or token.text in BIG_OPERATORS or parser.begins_called_name()


def _big(parser: Cursor, name: str) -> Node:
    below = above = Node("text", (), "")
    while parser.is_symbol("^", "_"):
        if parser.take().text == "_":
            below = _script_relation(parser)
        else:
            above = parser.script(power=True)
    return Node("bigop", (below, above, parser.product()), name)


def _script_relation(parser: Cursor) -> Node:
    if not parser.is_symbol("{"):
        return parser.atom()
    parser.position += 1
    inner = parser.listing()
    parser.expect("}")
    return inner


def _fence(parser: Cursor, name: str) -> Node:
    closing = {"lfloor": "rfloor", "lceil": "rceil", "langle": "rangle", "lvert": "rvert"}[name]
    inner = parser.listing()
    if not parser.is_command(closing):
        raise NotMathError(f"\\{name} is not closed")
    parser.position += 1
    if name == "langle":
        return Node("bracket", inner.args if inner.op == "list" else (inner,), "()")
    return Node({"lfloor": "floor", "lceil": "ceil", "lvert": "abs"}[name], (inner,))
