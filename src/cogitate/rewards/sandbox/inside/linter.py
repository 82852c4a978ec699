"""Reads a program without running it, in the guest, since even a parser should not meet hostile source outside.

Executed in the guest's own namespace, never imported here.
"""

# mypy: disable-error-code="no-untyped-def, name-defined"
# ruff: noqa: F821 - the names of the guest

import ast
import sys
import warnings


def serve(channel, orders):
    """Answer a list of [line, complaint]; the first is about the parse where that fails."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            tree = compile(orders["program"], "program.py", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
            compile(orders["program"], "program.py", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            found = [[getattr(error, "lineno", None) or 0, f"not Python: {getattr(error, 'msg', None) or error}"]]
        else:
            found = undefined_names(tree, new_module("given", orders["prelude"])[1])
    found += [[warning.lineno or 0, str(warning.message)] for warning in seen if warning.category is SyntaxWarning]
    answer('{"value":' + encode(sorted(found)) + "}")


def undefined_names(tree, given):
    """Names that are read and that neither the program ever binds nor its judge gives; none where `import *` may bind any."""
    nodes = list(ast.walk(tree))
    bound = set(dir(sys.modules["builtins"])) | {"__file__", "__class__"} | set(given)
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            if node.name == "*":
                return []
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            bound.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            bound.add(node.rest)
    read = [node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return [[node.lineno, f"name {node.id!r} is never defined"] for node in read if node.id not in bound]
