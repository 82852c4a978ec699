"""Sets of real numbers that an answer describes: intervals, their unions, inequalities in one variable."""

from __future__ import annotations

from itertools import pairwise

from cogitate.rewards.math.decide.functions import Number, UndefinedError, is_real, mp
from cogitate.rewards.math.decide.inequalities import FLIPPED, solve_inequality
from cogitate.rewards.math.decide.intervals import Interval, common_part, merged_intervals, same_interval, without_points
from cogitate.rewards.math.decide.numbers import evaluate, variables
from cogitate.rewards.math.parser.nodes import APPLIED_NAMES, Node


def is_region(node: Node) -> bool:
    """An inequality in one variable, a union of intervals, an interval with unlike delimiters or an infinite end."""
    if node.op in ("union", "intersection", "setminus"):
        return True
    if node.op == "bracket":
        return node.value in ("(]", "[)") or (len(node.args) == 2 and any(infinity_sign(arg) for arg in node.args))
    if _exclusions(node) or _bounded_exclusions(node):
        return True
    if node.op == "list" and node.value in ("and", "or"):
        return all(is_region(arg) for arg in node.args) and any(arg.op == "rel" for arg in node.args)
    return node.op == "rel" and "=" not in node.value and len(variables(node)) == 1 and _region(node) is not None


def same_region(gold: Node, answer: Node) -> bool:
    if gold.op == answer.op == "rel" and _names(gold) != _names(answer):
        return False
    regions = _region(gold), _region(answer)
    if regions[0] is None or regions[1] is None:
        return gold == answer
    left, right = merged_intervals(regions[0]), merged_intervals(regions[1])
    return len(left) == len(right) and all(same_interval(a, b) for a, b in zip(left, right, strict=True))


def _region(node: Node) -> list[Interval] | None:
    """The intervals a node describes, None where it describes no set of real numbers with constant ends."""
    if node.op == "bracket" and len(node.args) == 2:
        ends = _end(node.args[0]), _end(node.args[1])
        if ends[0] is None or ends[1] is None:
            return None
        return [Interval(ends[0], ends[1], node.value[0] == "[", node.value[1] == "]")]
    if node.op == "set":
        points = [_end(item) for item in node.args]
        return [Interval(point, point, True, True) for point in points if point is not None] if None not in points else None
    if node.op == "var" and node.value == "mathbb R":
        return [Interval(-mp.inf, mp.inf, False, False)]
    if node.op == "union":
        parts = [_region(arg) for arg in node.args]
        return None if any(part is None for part in parts) else [interval for part in parts if part for interval in part]
    exclusions = _exclusions(node) or _bounded_exclusions(node)
    if exclusions:
        parts = [_region(relation) for relation in exclusions]
        return None if None in parts else common_part([part for part in parts if part is not None])
    if node.op == "list" and node.value in ("and", "or") and len({*map(frozenset, map(variables, node.args))}) == 1:
        parts = [_region(arg) for arg in node.args]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return [interval for part in known for interval in part] if node.value == "or" else common_part(known)
    if node.op == "intersection":
        parts = [_region(arg) for arg in node.args]
        known = [part for part in parts if part is not None]
        return common_part(known) if len(known) == len(parts) else None
    if node.op == "setminus":
        whole, removed = _region(node.args[0]), _region(node.args[1])
        return None if whole is None or removed is None else without_points(whole, removed)
    return _inequality(node) if node.op == "rel" else None


def _inequality(node: Node) -> list[Interval] | None:
    """`a < x`, `|x - 3| <= 2`, `0 < f(x) < 1`: every relation of a chain in one variable holds."""
    operands = [_plain_name(arg) for arg in node.args]
    names = set().union(*map(variables, operands))
    if len(names) != 1:
        return None
    (name,) = names
    parts: list[list[Interval]] = []
    for relation, (left, right) in zip(node.value, pairwise(operands), strict=True):
        part = _half_line(left, right, relation) or solve_inequality(left, right, relation, name)
        if part is None:
            return None
        parts.append(part)
    return common_part(parts)


def _names(relation: Node) -> set[str]:
    return set().union(*(variables(_plain_name(arg)) for arg in relation.args))


def _plain_name(node: Node) -> Node:
    """`f(x)` as the name of a quantity."""
    named = node.op == "call" and str(node.value).rstrip("'") in APPLIED_NAMES and all(arg.op == "var" for arg in node.args)
    return Node("var", (), f"{node.value} {node.args[0].value}") if named and len(node.args) == 1 else node


def _half_line(left: Node, right: Node, relation: str) -> list[Interval] | None:
    """`x < a` and `a < x`, infinite ends included."""
    if left.op != "var":
        left, right, relation = right, left, FLIPPED.get(relation, relation)
    end = None if left.op != "var" or variables(right) else _end(right)
    if end is None or relation not in ("<", "<=", ">", ">="):
        return None
    closed = relation in ("<=", ">=")
    return [Interval(-mp.inf, end, False, closed) if relation in ("<", "<=") else Interval(end, mp.inf, closed, False)]


def _exclusions(node: Node) -> list[Node]:
    """`x != 1, x != 2` and `x != 1, 2` as relations of one variable; empty where a node is nothing of the kind."""
    if node.op != "list" or node.value not in (",", "and") or node.args[0].op != "rel" or node.args[0].value != ("!=",):
        return []
    first, *others = node.args
    if first.args[0].op != "var":
        return []
    relations = [other if other.op == "rel" else Node("rel", (first.args[0], other), ("!=",)) for other in others]
    alike = all(relation.value == ("!=",) and relation.args[0] == first.args[0] for relation in relations)
    return [first, *relations] if alike and not any(variables(relation.args[1]) for relation in [first, *relations]) else []


def _bounded_exclusions(node: Node) -> list[Node]:
    """`1 < x < 50, x != 7` as relations of one variable that all hold; empty where a node is nothing of the kind."""
    if node.op != "list" or node.value != "," or any(arg.op != "rel" for arg in node.args):
        return []
    bounds = [arg for arg in node.args if arg.value != ("!=",)]
    names = {frozenset(variables(arg)) for arg in node.args}
    return list(node.args) if len(bounds) == 1 and "=" not in bounds[0].value and len(names) == 1 else []


def _end(node: Node) -> Number | None:
    infinite = infinity_sign(node)
    if infinite:
        return infinite * mp.inf
    if variables(node) or node.op in ("list", "set", "bracket", "matrix", "text", "rel"):
        return None
    try:
        value = evaluate(node, {})
    except UndefinedError:
        return None
    return mp.re(value) if not isinstance(value, list) and is_real(value) else None


def infinity_sign(node: Node) -> int:
    """1 for infinity, -1 for minus infinity, 0 for anything else."""
    if node.op == "neg":
        return -infinity_sign(node.args[0])
    return int(node.op == "const" and node.value == "infinity")
