"""Names of quantities: a letter with its index, primes and, where it is a function's, its arguments. Part of the parser."""

from __future__ import annotations

from cogitate.rewards.math.parser.cursor import Cursor
from cogitate.rewards.math.parser.nodes import APPLIED_NAMES, Node
from cogitate.rewards.math.parser.tokens import NotMathError


def subscripted(parser: Cursor, name: str) -> Node:
    """A name with its index, prime and, where it is a function's, its arguments."""
    while parser.is_symbol("_"):
        parser.position += 1
        index = parser.script(power=False)
        name = f"{name}_{letters(index)}" if is_plain(index) else name
        if not is_plain(index):
            return Node("call", (index,), f"{name}_")
    while parser.is_symbol("'"):
        parser.position += 1
        name += "'"
    if parser.is_symbol("(") and name.rstrip("'0123456789_") in APPLIED_NAMES:
        inner = parser.atom()
        return Node("call", inner.args if inner.op == "bracket" else (inner,), name)
    constants = {"e": "e", "i": "i"}
    return Node("const", (), constants[name]) if name in constants else Node("var", (), name)


def is_plain(node: Node) -> bool:
    """Whether an index is a mere name: a number, a letter, words."""
    return node.op in ("num", "text", "const") or (
        node.op == "var" and len(str(node.value)) == 1 and not str(node.value).islower()
    )


def letters(node: Node) -> str:
    """The text of a name or number, for use in a longer name."""
    if node.op == "num":
        return str(node.value[1])
    if node.op in ("var", "const", "text"):
        return str(node.value)
    if node.op == "mul":
        return "".join(letters(arg) for arg in node.args)
    raise NotMathError("a name that is an expression")
