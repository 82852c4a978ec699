"""Whether two parsed answers mean the same. Both trees were read in full; what is of different sorts is different.

Policies are listed in docs/graders.md. In short: values are compared exactly; a decimal equals an irrational value only from
DECIMAL_DIGITS correct digits on; lists are compared without order, brackets with it; a missing unit, percent or degree sign is
forgiven, a different one is not; an equation equals its multiples by a constant and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from cogitate.rewards.math.decide.equality import close, constant_ratio, decide_equal, is_positive, same_value
from cogitate.rewards.math.decide.functions import UndefinedError
from cogitate.rewards.math.decide.inequalities import FLIPPED
from cogitate.rewards.math.decide.numbers import evaluate, variables
from cogitate.rewards.math.parser.nodes import Node
from cogitate.rewards.math.quantities import same_based, same_quantity
from cogitate.rewards.math.regions import is_region, same_region
from cogitate.rewards.math.shapes import (
    MAX_ITEMS,
    align_moduli,
    as_table,
    as_vector,
    coordinates_of,
    difference_of,
    has_matrix,
    has_signs,
    is_collection,
    is_combination,
    is_equation,
    is_name,
    is_tautology,
    items_of,
    settle_statement,
    share_left_side,
    share_one_name,
)


def same_answer(gold: Node, answer: Node) -> bool:
    """Whether an answer equals the reference."""
    gold, answer = align_moduli(settle_statement(gold), settle_statement(answer))
    if is_equation(gold) and is_equation(answer):
        return _same_equation(gold, answer)
    if is_equation(gold) or is_equation(answer):
        return _named_value(gold, answer)
    if is_region(gold) or is_region(answer):
        return same_region(gold, answer)
    if "rel" in (gold.op, answer.op):
        return gold.op == answer.op and _same_relation(gold, answer)
    if is_collection(gold) or is_collection(answer):
        return _same_collection(gold, answer)
    if "bracket" in (gold.op, answer.op):
        return _same_bracket(gold, answer)
    if "matrix" in (gold.op, answer.op) or has_matrix(gold) or has_matrix(answer):
        return _same_matrix(gold, answer)
    if gold.op == answer.op == "neg" and "based" in (gold.args[0].op, answer.args[0].op):
        return same_answer(gold.args[0], answer.args[0])
    if "ratio" in (gold.op, answer.op):
        return gold.op == answer.op and _same_items(gold.args, answer.args)
    if "based" in (gold.op, answer.op):
        return same_based(gold, answer)
    if "text" in (gold.op, answer.op):
        return gold.op == answer.op and gold.value.casefold() == answer.value.casefold()
    return same_quantity(gold, answer)


def is_undecided(gold: Node, answer: Node) -> bool:
    """Whether two expressions differ only in that we cannot decide whether they are equal."""
    gold, answer = settle_statement(gold), settle_statement(answer)
    structure = ("rel", "list", "set", "bracket", "matrix", "text", "based", "ratio")
    return not {gold.op, answer.op} & set(structure) and decide_equal(gold, answer) is None


# What an answer states


def _statement(equation: Node) -> tuple[Node | None, Node | None]:
    """(name, value) of an equation that gives a value; (None, value) of a chain of equal constants; else (None, None)."""
    first, *others = equation.args
    if len(others) == 1 and is_name(others[0]) and not is_name(first):  # 42 = x
        first, others = others[0], [first]
    if is_name(first) and not is_name(others[-1]):
        agree = all(same_answer(others[-1], other) for other in others[:-1] if not is_name(other) and not variables(other))
        return (first, others[-1]) if agree else (None, None)
    if is_name(first) and len(others) == 1:
        return first, others[0]
    constants = all(not variables(arg) and _is_plain_value(arg) for arg in equation.args)
    if constants and all(same_answer(others[-1], arg) for arg in equation.args[:-1]):
        return None, others[-1]
    return None, None


def _is_plain_value(node: Node) -> bool:
    return node.op not in ("rel", "text")


def _same_equation(gold: Node, answer: Node) -> bool:
    (gold_name, gold_value), (name, value) = _statement(gold), _statement(answer)
    if gold_value is not None and value is not None:
        alike = gold_name is None or name is None or _same_name(gold_name, name)
        if alike and same_answer(gold_value, value):
            return gold_name is None or not is_tautology(answer)
    if len(gold.args) != 2 or len(answer.args) != 2:
        return False
    return _proportional(difference_of(gold), difference_of(answer), positive=False)


def _same_name(gold: Node, name: Node) -> bool:
    """Equal names; y and f(x) are both usual for a function."""
    if gold == name:
        return True
    if {gold.op, name.op} == {"var", "call"}:
        return "y" in (gold.value, name.value)
    return gold.op in ("call", "abs", "bracket", "mul") and name.op == gold.op and same_value(gold, name)


def _named_value(gold: Node, answer: Node) -> bool:
    """One of the two is an equation: its value is compared, where it gives one."""
    equation, plain = (gold, answer) if is_equation(gold) else (answer, gold)
    _, value = _statement(equation)
    if value is None and equation is answer:
        value = _value_of_combination(equation)
    if value is None or (is_tautology(equation) and variables(equation)):
        return False
    return same_answer(value, plain) if equation is gold else same_answer(plain, value)


def _value_of_combination(equation: Node) -> Node | None:
    """`m + n = 256 + 37 = 293`, `AB/CD = 3` state the value of a quantity, for a question about it."""
    first, *others = equation.args
    if not is_combination(first) or any(variables(other) or not _is_plain_value(other) for other in others):
        return None
    return others[-1] if all(same_answer(others[-1], other) for other in others[:-1]) else None


def _proportional(left: Node, right: Node, *, positive: bool) -> bool:
    """Whether one expression is a constant times the other, at every point; never where one of them is always zero."""
    ratio = constant_ratio(left, right)
    return ratio is not None and (not positive or is_positive(ratio))


# Several values


def _same_collection(gold: Node, answer: Node) -> bool:
    if answer.op == "bracket" and answer.value == "()" and gold.op == "list" and not has_signs(gold):
        return _same_items([_value_of(item) for item in gold.args], answer.args)
    if gold.op == "bracket" and gold.value == "()" and answer.op == "list" and not has_signs(answer):
        return _same_items(gold.args, [_value_of(item) for item in answer.args])
    wanted, given = _share_name(items_of(gold)), _share_name(items_of(answer))
    if len(wanted) > MAX_ITEMS or len(given) > MAX_ITEMS:
        return False
    if "set" in (gold.op, answer.op) or all(item.op == "bracket" for item in wanted + given):
        wanted, given = _distinct(wanted), _distinct(given)
    if len(wanted) != len(given):
        return False
    named = [item for item in wanted + given if is_equation(item)]
    if len(named) == len(wanted) + len(given) and share_one_name(named) and any(map(share_left_side, (wanted, given))):
        # x_1 = 1, x_2 = 3 beside x = 1, x = 3
        return _matched([_value_of(item) for item in wanted], [_value_of(item) for item in given])
    if named and len(named) < len(wanted) + len(given) and not share_one_name(named):
        return _same_items([_value_of(item) for item in wanted], [_value_of(item) for item in given])
    if named and len(named) < len(wanted) + len(given):
        wanted, given = [_value_of(item) for item in wanted], [_value_of(item) for item in given]
    return _matched(wanted, given)


def _share_name(items: list[Node]) -> list[Node]:
    """`x = 1, 2, 3` says x = 1, x = 2, x = 3: where only the first item has a name, it is dropped."""
    named = [item for item in items if is_equation(item) and len(item.args) == 2]
    if len(named) == 1 and items and items[0] is named[0] and len(items) > 1:
        return [_value_of(item) for item in items]
    return items


def _value_of(node: Node) -> Node:
    settled = settle_statement(node)
    if is_equation(settled):
        _, value = _statement(settled)
        return settled if value is None else value
    return settled


def _distinct(items: Sequence[Node]) -> list[Node]:
    kept: list[Node] = []
    for item in items:
        if not any(same_answer(other, item) for other in kept):
            kept.append(item)
    return kept


def _matched(wanted: Sequence[Node], given: Sequence[Node]) -> bool:
    """Whether the items can be paired off. Equality is transitive enough that the first match will do."""
    left = list(given)
    for item in wanted:
        index = next((index for index, other in enumerate(left) if same_answer(item, other)), None)
        if index is None:
            return False
        del left[index]
    return not left


def _same_items(wanted: Sequence[Node], given: Sequence[Node]) -> bool:
    return len(wanted) == len(given) and all(same_answer(a, b) for a, b in zip(wanted, given, strict=True))


def _same_bracket(gold: Node, answer: Node) -> bool:
    """Tuples, points, closed intervals as they are written: same delimiters, same items in the same order."""
    if gold.op != answer.op:
        other = answer if gold.op == "bracket" else gold
        bracket = gold if gold.op == "bracket" else answer
        table = as_table(bracket)
        if other.op == "matrix" and table is not None:
            return _same_matrix(table, other)
        point = coordinates_of(other)
        if point is not None and bracket.value == "()":
            return _same_items(bracket.args, point)
        vector = as_vector(other)
        if vector is not None:
            return _same_items(bracket.args, vector)
        return bracket.value == "[]" and len(bracket.args) == 1 and same_answer(bracket.args[0], other)
    return gold.value == answer.value and _same_items(gold.args, answer.args)


# Matrices


def _same_matrix(gold: Node, answer: Node) -> bool:
    if gold.op == answer.op == "matrix":
        return len(gold.args) == len(answer.args) and all(
            _same_items(a.args, b.args) for a, b in zip(gold.args, answer.args, strict=True)
        )
    try:
        values = evaluate(gold, {}), evaluate(answer, {})
    except UndefinedError:
        return False
    if not all(isinstance(value, list) for value in values):
        return False
    shapes = [(len(value), len(value[0])) for value in values]
    return shapes[0] == shapes[1] and all(close(a, b) for rows in zip(*values, strict=True) for a, b in zip(*rows, strict=True))


# Other relations


def _same_relation(gold: Node, answer: Node) -> bool:
    """The same chain, forwards or backwards; a single inequality also as its multiple by a constant."""
    if gold.value == answer.value and _same_items(gold.args, answer.args):
        return True
    backwards = tuple(FLIPPED.get(relation, relation) for relation in reversed(answer.value))
    if gold.value == backwards and _same_items(gold.args, answer.args[::-1]):
        return True
    if len(gold.value) != 1 or len(answer.value) != 1 or not set(gold.value + answer.value) <= set(FLIPPED):
        return False
    differences = difference_of(gold), difference_of(answer)
    if gold.value == answer.value and _proportional(*differences, positive=gold.value[0] != "!="):
        return True
    return gold.value[0] == FLIPPED[answer.value[0]] and _proportional(
        differences[0], Node("neg", (differences[1],)), positive=True
    )
