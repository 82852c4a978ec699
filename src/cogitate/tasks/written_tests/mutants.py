"""Mutants: a Python program with one small fault. Tests that no mutant fails say little.

A mutant may happen to do what the program does (an equivalent mutant): whoever counts them must not take all of them for wrong.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

from cogitate.runtime import derive_seed

Change = Callable[[Any], None]  # of a node, in place

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Div, ast.Mult),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
}
# What a function mistakes its arguments for: numbers for positive ones, lists for sorted ones or such without repetitions,
# texts for lower case. One example hardly shows such a fault, and a case with a small change does.
MISTAKEN_ARGUMENTS = (
    "abs({x}) if isinstance({x}, (int, float)) else {x}",
    "type({x})(sorted({x})) if isinstance({x}, (list, tuple)) else {x}",
    "type({x})([y for i, y in enumerate({x}) if y not in {x}[:i]]) if isinstance({x}, (list, tuple)) else {x}",
    "{x}.lower() if isinstance({x}, str) else {x}",
)
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "set": "list", "sum": "len", "abs": "int"}


def mutants_of(program: str, count: int, seed: int = 0) -> list[str]:
    """At most `count` different programs, each with one fault; equal arguments give equal mutants. [] for what is no Python."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    original = ast.unparse(tree)
    found: dict[str, None] = {}
    for number, node in enumerate(ast.walk(tree)):
        for place in range(len(changes_of(node))):
            copied = copy.deepcopy(tree)
            target = next(other for index, other in enumerate(ast.walk(copied)) if index == number)
            changes_of(target)[place](target)
            source = ast.unparse(ast.fix_missing_locations(copied))
            if source != original and is_python(source):
                found[source] = None
    mutants = list(found)
    random.Random(derive_seed(seed, "mutants", original)).shuffle(mutants)
    return mutants[:count]


def is_python(source: str) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def changes_of(node: ast.AST) -> list[Change]:
    """The faults that a node can get."""
    return list(_changes(node))


def _changes(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                yield _put_comparison(place, other)
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        for other_operator in OPERATORS.get(type(node.op), ()):
            yield _put_operator(other_operator)
    elif isinstance(node, ast.BoolOp):
        yield _swap_and_or
        for place in range(len(node.values)):
            yield _drop_operand(place)
    elif isinstance(node, ast.Constant):
        yield from _constants(node.value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield _rename
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        yield _negate
    elif isinstance(node, ast.Return) and node.value is not None:
        yield _return_none
        if isinstance(node.value, ast.Call):
            yield from _without_call(node.value)
    elif isinstance(node, ast.For | ast.comprehension):
        yield _skip(ast.Slice(lower=ast.Constant(1)))
        yield _skip(ast.Slice(upper=ast.Constant(-1)))
        if isinstance(node, ast.comprehension) and node.ifs:
            yield _drop_filter
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        yield from _without_call(node.value)
    elif isinstance(node, ast.Call) and len(node.args) > 1 and not node.keywords:
        yield _swap_arguments
    elif isinstance(node, ast.FunctionDef):
        for argument in node.args.args:
            for form in MISTAKEN_ARGUMENTS:
                yield _mistake(argument.arg, form)


def _constants(value: Any) -> Iterator[Change]:
    if isinstance(value, bool):
        yield _put_value(not value)
    elif isinstance(value, int):
        yield _put_value(value + 1)
        yield _put_value(value - 1)
    elif isinstance(value, float):
        yield _put_value(value + 1.0)
    elif isinstance(value, str) and value:
        yield _put_value("")


def _put_comparison(place: int, other: type[ast.cmpop]) -> Change:
    def change(node: Any) -> None:
        node.ops[place] = other()

    return change


def _put_operator(other: type[ast.operator]) -> Change:
    def change(node: Any) -> None:
        node.op = other()

    return change


def _put_value(value: Any) -> Change:
    def change(node: Any) -> None:
        node.value = value

    return change


def _swap_and_or(node: Any) -> None:
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()


def _rename(node: Any) -> None:
    node.id = NAMES[node.id]


def _negate(node: Any) -> None:
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _return_none(node: Any) -> None:
    node.value = ast.Constant(None)


def _without_call(call: ast.Call) -> Iterator[Change]:
    """`x = f(y)` becomes `x = y`, and `x = y.f()` too."""
    if call.args:
        yield lambda node: setattr(node, "value", node.value.args[0])
    if isinstance(call.func, ast.Attribute):
        yield lambda node: setattr(node, "value", node.value.func.value)


def _drop_operand(place: int) -> Change:
    def change(node: Any) -> None:
        del node.values[place]
        if len(node.values) == 1:
            node.values *= 2  # `a and a` is a

    return change


def _skip(part: ast.Slice) -> Change:
    """Iterate over a part: what is no sequence is made one."""

    def change(node: Any) -> None:
        items = ast.Call(ast.Name("list", ast.Load()), [node.iter], [])
        node.iter = ast.Subscript(items, copy.deepcopy(part), ast.Load())

    return change


def _drop_filter(node: Any) -> None:
    node.ifs.pop()


def _mistake(name: str, form: str) -> Change:
    def change(node: Any) -> None:
        node.body.insert(0, ast.parse(f"{name} = {form.format(x=name)}").body[0])

    return change


def _swap_arguments(node: Any) -> None:
    node.args[0], node.args[1] = node.args[1], node.args[0]
