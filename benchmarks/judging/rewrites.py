"""Programs that do the same by construction: other names, other order of branches, a wrapper."""

from __future__ import annotations

import ast


def rewrites(program: str, entry: str) -> list[str]:
    """The program as Python prints it, local names changed, branches swapped, a wrapper, and two of these at once."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError):
        return []
    renamed = renamed_locals(program)
    swapped = ast.unparse(ast.fix_missing_locations(SwappedBranches().visit(ast.parse(program))))
    wrapped = f"{ast.unparse(tree)}\n\n_inner = {entry}\n\ndef {entry}(*args):\n    return _inner(*args)"
    both = ast.unparse(ast.fix_missing_locations(SwappedBranches().visit(ast.parse(renamed))))
    return list(dict.fromkeys([ast.unparse(tree), swapped, renamed, wrapped, both]))


class SwappedBranches(ast.NodeTransformer):
    """`if a: x else: y` becomes `if not a: y else: x`."""

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if not node.orelse:
            return node
        return ast.If(ast.UnaryOp(ast.Not(), node.test), node.orelse, node.body)


def renamed_locals(program: str) -> str:
    """The program with other names for what functions without inner functions assign."""
    tree = ast.parse(program)
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        inner = [node for node in ast.walk(function) if node is not function]
        if any(isinstance(node, ast.FunctionDef | ast.Lambda | ast.Global | ast.Nonlocal | ast.ClassDef) for node in inner):
            continue
        arguments = {node.arg for node in inner if isinstance(node, ast.arg)}
        names = {node.id for node in inner if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)} - arguments
        for node in inner:
            if isinstance(node, ast.Name) and node.id in names:
                node.id = f"{node.id}_2"
    return ast.unparse(tree)
