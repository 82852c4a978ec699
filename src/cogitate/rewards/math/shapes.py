"""The shape of a parsed answer: is it an equation, a collection, a point, a matrix; and the parts it then has.

Nothing here compares two answers (compare.py does).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cogitate.rewards.math.parser.nodes import Node

MAX_ITEMS = 60


def settle_statement(node: Node) -> Node:
    """The statement without its approximation and its membership sign: `x = 1/3 ~ 0.33` is x = 1/3, `x in S` is S."""
    if node.op != "rel":
        return node
    operands, relations = list(node.args), list(node.value)
    if "=>" in relations:
        last = len(relations) - 1 - relations[::-1].index("=>")
        operands, relations = operands[last + 1 :], relations[last + 1 :]
    while "~" in relations:
        index = relations.index("~")
        if index == 0 and is_name(operands[0]):  # x ~ 11 gives the value of x
            relations[0] = "="
        else:
            operands, relations = operands[: index + 1], relations[:index]
    if relations == ["in"]:
        return settle_statement(operands[1])
    return Node("rel", tuple(operands), tuple(relations)) if relations else operands[0]


def align_moduli(gold: Node, answer: Node) -> tuple[Node, Node]:
    """Where one of two answers is a class of numbers, `3 \\pmod 7`, so is the `3 \\bmod 7` of the other."""
    if _has_call(gold, "mod") == _has_call(answer, "mod"):
        return gold, answer
    return _as_class(gold), _as_class(answer)


def _has_call(node: Node, name: str) -> bool:
    return (node.op == "call" and node.value == name) or any(_has_call(arg, name) for arg in node.args)


def _as_class(node: Node) -> Node:
    value = "mod" if node.op == "call" and node.value == "bmod" else node.value
    return Node(node.op, tuple(_as_class(arg) for arg in node.args), value)


def is_equation(node: Node) -> bool:
    return node.op == "rel" and set(node.value) == {"="}


def is_name(node: Node) -> bool:
    """A thing that is being given a value: a variable, a function of something, |AB|, a tuple or product of names."""
    if node.op in ("var", "text") or (node.op == "call" and not node.value.startswith(("sin", "cos", "tan", "log", "ln"))):
        return True
    if node.op == "const":
        return node.value in ("e", "i")
    if node.op == "bigop" or is_derivative(node):
        return True
    if node.op == "abs":  # |AB|, a length; |x| gives x two values
        inner = node.args[0]
        number_of = inner.op == "var" and str(inner.value)[:1] not in "xytnk"  # |A|, a number of elements; |v|, a length
        return number_of or (inner.op in ("mul", "union", "intersection") and is_name(inner))
    if node.op in ("mul", "bracket", "list", "measured", "union", "intersection", "rel", "ratio"):
        return bool(node.args) and all(is_name(arg) for arg in node.args)
    return node.op == "call"


def is_tautology(equation: Node) -> bool:
    return len(equation.args) == 2 and equation.args[0] == equation.args[1]


def is_combination(node: Node) -> bool:
    """A quantity that is no unsolved equation in one variable: it is made of two names or more."""
    return node.op in ("add", "sub", "mul", "div", "pow", "abs", "root", "neg") and len(_names(node)) > 1


def is_derivative(node: Node) -> bool:
    """`\\frac{d}{dx} x^2`, `\\frac{dy}{dx}`."""
    if node.op == "mul":
        return is_derivative(node.args[0])
    if node.op != "div" or node.args[1].op != "mul":
        return False
    letter = node.args[1].args[0]
    above = node.args[0].args[0] if node.args[0].op == "mul" else node.args[0]
    return letter.op == "var" and letter.value in ("d", "partial") and above == letter


def _names(node: Node) -> set[str]:
    found = {str(node.value)} if node.op == "var" else set()
    return found.union(*(_names(arg) for arg in node.args))


def difference_of(equation: Node) -> Node:
    return Node("sub", equation.args)


def is_collection(node: Node) -> bool:
    return node.op in ("list", "set") or has_signs(node)


def has_signs(node: Node) -> bool:
    """Whether a plus-minus sign stands in an expression."""
    if node.op == "pm":
        return True
    return node.op not in ("list", "set", "bracket", "rel", "matrix") and any(has_signs(arg) for arg in node.args)


def items_of(node: Node) -> list[Node]:
    """The values a node stands for: members of a list or set, both values of a plus-minus sign."""
    if node.op in ("list", "set"):
        items = [item for arg in node.args for item in items_of(settle_statement(arg))]
    elif is_equation(node) and is_collection(node.args[-1]) and is_name(node.args[0]):
        items = [Node("rel", (node.args[0], item), ("=",)) for item in items_of(node.args[-1])]
    elif has_signs(node):
        items = [with_sign(node, "+"), with_sign(node, "-")]
    else:
        items = [node]
    return items[: MAX_ITEMS + 1]


def with_sign(node: Node, sign: str) -> Node:
    if node.op == "pm":
        operation = "add" if node.value == sign else "sub"
        args = tuple(with_sign(arg, sign) for arg in node.args)
        if len(args) == 1:
            return args[0] if operation == "add" else Node("neg", args)
        return Node(operation, args)
    return Node(node.op, tuple(with_sign(arg, sign) for arg in node.args), node.value)


def share_one_name(equations: list[Node]) -> bool:
    """Whether all equations speak of one quantity: x = 1, x = 2, or its numbered values x_1, x_2."""
    bases = {re.sub(r"[_\d']+.*$", "", base_name(equation.args[0])) for equation in equations}
    return len(bases) == 1


def share_left_side(equations: Sequence[Node]) -> bool:
    """Whether several equations give values to one name."""
    return len(equations) > 1 and all(equation.args[0] == equations[0].args[0] for equation in equations)


def base_name(node: Node) -> str:
    return str(node.value) if node.op in ("var", "call", "const") else repr(node)


def coordinates_of(node: Node) -> tuple[Node, ...] | None:
    """The coordinates of a named point, `A(3, -2)`."""
    if node.op == "mul" and node.args[1].op == "bracket" and node.args[1].value == "()":
        name, items = node.args[0], node.args[1].args
    elif node.op == "call" and len(node.args) > 1:
        name, items = Node("var", (), node.value), node.args
    else:
        return None
    return items if name.op == "var" and re.fullmatch(r"[A-Z][\d_']*", str(name.value)) else None


def as_table(node: Node) -> Node | None:
    """A list of equally long lists, `[[1, 2], [3, 4]]`, as a matrix."""
    rows = node.args
    if len(rows) < 2 or any(row.op != "bracket" for row in rows) or len({len(row.args) for row in rows}) != 1:
        return None
    return Node("matrix", tuple(Node("row", row.args) for row in rows)) if node.value == "[]" else None


def has_matrix(node: Node) -> bool:
    return node.op == "matrix" or (node.op in ("add", "sub", "mul", "div", "neg") and any(has_matrix(arg) for arg in node.args))


def as_vector(node: Node) -> tuple[Node, ...] | None:
    """The items of a matrix of one row or one column."""
    if node.op != "matrix":
        return None
    if len(node.args) == 1:
        return node.args[0].args
    if all(len(row.args) == 1 for row in node.args):
        return tuple(row.args[0] for row in node.args)
    return None
