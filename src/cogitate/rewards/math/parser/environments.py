"""LaTeX environments: matrices, and systems of statements. Part of the parser."""

from __future__ import annotations

from cogitate.rewards.math.parser.cursor import Cursor
from cogitate.rewards.math.parser.nodes import Node
from cogitate.rewards.math.parser.tokens import NotMathError

MATRICES = frozenset({"matrix", "pmatrix", "bmatrix", "vmatrix", "Bmatrix", "smallmatrix", "array"})
SYSTEMS = frozenset({"cases", "aligned", "gathered"})


def read_environment(parser: Cursor) -> Node:
    name = _environment_name(parser)
    if name == "array" and parser.is_symbol("{"):
        while not parser.is_symbol("}"):
            parser.take()
        parser.position += 1
    if name in SYSTEMS:
        return _system(parser, name)
    rows: list[tuple[Node, ...]] = []
    cells: list[Node] = []
    while not parser.is_command("end"):
        cells.append(parser.relation())
        if parser.is_symbol("&"):
            parser.position += 1
            continue
        rows.append(tuple(cells))
        cells = []
        while parser.is_symbol("\\\\"):
            parser.position += 1
        if parser.is_command("hline"):
            parser.position += 1
    parser.position += 1
    if _environment_name(parser) != name or cells or len({len(row) for row in rows}) != 1:
        raise NotMathError("a matrix that is not well formed")
    node = Node("matrix", tuple(Node("row", row) for row in rows))
    return Node("call", (node,), "det") if name == "vmatrix" else node


def _system(parser: Cursor, name: str) -> Node:
    """Statements one below the other, all of which hold."""
    items: list[Node] = []
    while not parser.is_command("end"):
        if not parser.is_symbol("&", "\\\\"):
            inner = parser.listing()
            items.extend(inner.args if inner.op == "list" else (inner,))
        else:
            parser.position += 1
    parser.position += 1
    if _environment_name(parser) != name or not items:
        raise NotMathError("a system that is not well formed")
    return items[0] if len(items) == 1 else Node("list", tuple(items), "and")


def _environment_name(parser: Cursor) -> str:
    parser.expect("{")
    name = parser.take().text
    parser.expect("}")
    if name not in MATRICES | SYSTEMS:
        raise NotMathError(f"the environment {name} is not read")
    return name
