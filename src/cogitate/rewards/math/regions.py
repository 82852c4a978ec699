"""Sets of real numbers: intervals, their unions, and the inequalities in one variable that describe them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from cogitate.rewards.math.functions import Number, UndefinedError, is_real, mp, mpf
from cogitate.rewards.math.numbers import close, evaluate, variables
from cogitate.rewards.math.parser.nodes import Node

FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


@dataclass(frozen=True, slots=True)
class Interval:
    """Real numbers between two ends; an end is -inf or inf where there is none."""

    low: Number
    high: Number
    low_closed: bool
    high_closed: bool


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
    if gold.op == answer.op == "rel" and variables(gold) != variables(answer):
        return False
    regions = _region(gold), _region(answer)
    if regions[0] is None or regions[1] is None:
        return gold == answer
    left, right = _merged(regions[0]), _merged(regions[1])
    return len(left) == len(right) and all(_same_interval(a, b) for a, b in zip(left, right, strict=True))


def _same_interval(a: Interval, b: Interval) -> bool:
    ends = _same_end(a.low, b.low) and _same_end(a.high, b.high)
    return ends and (a.low_closed, a.high_closed) == (b.low_closed, b.high_closed)


def _same_end(a: Number, b: Number) -> bool:
    return bool(a == b) if mp.isinf(a) or mp.isinf(b) else close(a, b)


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
        return None if None in parts else _common([part for part in parts if part is not None])
    if node.op == "list" and node.value in ("and", "or") and len({*map(frozenset, map(variables, node.args))}) == 1:
        parts = [_region(arg) for arg in node.args]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return [interval for part in known for interval in part] if node.value == "or" else _common(known)
    if node.op == "intersection":
        parts = [_region(arg) for arg in node.args]
        known = [part for part in parts if part is not None]
        return _common(known) if len(known) == len(parts) else None
    if node.op == "setminus":
        whole, removed = _region(node.args[0]), _region(node.args[1])
        return None if whole is None or removed is None else _without_points(whole, removed)
    return _inequality(node) if node.op == "rel" else None


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


def _inequality(node: Node) -> list[Interval] | None:
    """`a < x`, `a < x <= b`, `x != a` with constants a and b; in place of x may stand a linear expression in it."""
    places = [index for index, arg in enumerate(node.args) if variables(arg)]
    if len(places) != 1:
        return None
    line = _linear(node.args[places[0]])
    if line is None:
        return _absolute_inequality(node, places[0])
    low, high = (-mp.inf, False), (mp.inf, False)
    for index, (left, right) in enumerate(pairwise(node.args)):
        relation = node.value[index]
        if variables(right):  # constant on the left: read it from right to left
            left, right, relation = right, left, FLIPPED.get(relation, relation)
        if not variables(left):
            return None
        end = _end(right)
        if end is None or relation not in ("<", ">", "<=", ">=", "!="):
            return None
        end = (end - line[1]) / line[0]
        relation = relation if line[0] > 0 else FLIPPED[relation]
        if relation == "!=":
            return [Interval(-mp.inf, end, False, False), Interval(end, mp.inf, False, False)] if len(node.args) == 2 else None
        if relation in ("<", "<="):
            high = (end, relation == "<=")
        else:
            low = (end, relation == ">=")
    return [Interval(low[0], high[0], low[1], high[1])]


def _absolute_inequality(node: Node, place: int) -> list[Interval] | None:
    """`|a x + b| < c` and the like, the absolute value on either side; z is left out, for it may be complex."""
    if len(node.args) != 2 or node.args[place].op != "abs" or variables(node) == {"z"}:
        return None
    line, end = _linear(node.args[place].args[0]), _end(node.args[1 - place])
    relation = node.value[0] if place == 0 else FLIPPED.get(node.value[0])
    if line is None or end is None or mp.isinf(end) or relation not in ("<", "<=", ">", ">="):
        return None
    low, high = sorted((sign * end - line[1]) / line[0] for sign in (1, -1))
    closed = relation in ("<=", ">=")
    empty_inside = end < 0 or (end == 0 and closed == (relation == ">="))
    if relation in ("<", "<="):
        return [] if empty_inside else [Interval(low, high, closed, closed)]
    if empty_inside:
        return [Interval(-mp.inf, mp.inf, False, False)]
    return [Interval(-mp.inf, low, False, closed), Interval(high, mp.inf, closed, False)]


def _linear(node: Node) -> tuple[Number, Number] | None:
    """(a, b) of an expression a x + b in its one variable, None where it is not of that form."""
    if node.op == "var":
        return mpf(1), mpf(0)
    (name,) = variables(node) if len(variables(node)) == 1 else (None,)
    if name is None:
        return None
    try:
        at = {x: evaluate(node, {name: mpf(x)}) for x in (0, 1, 2, -3)}
    except UndefinedError:
        return None
    if any(isinstance(value, list) or not is_real(value) for value in at.values()):
        return None
    slope, start = at[1] - at[0], at[0]
    straight = all(abs(slope * x + start - at[x]) < mpf(10) ** -30 * (1 + abs(at[x])) for x in (2, -3))
    return (mp.re(slope), mp.re(start)) if straight and slope != 0 else None


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


def _common(parts: list[list[Interval]]) -> list[Interval]:
    """What all of several sets share."""
    common = parts[0]
    for part in parts[1:]:
        pairs = [(a, b) for a in _merged(common) for b in _merged(part)]
        common = [cut for a, b in pairs if (cut := _overlap(a, b)) is not None]
    return common


def _overlap(a: Interval, b: Interval) -> Interval | None:
    low = max((a.low, not a.low_closed), (b.low, not b.low_closed))
    high = min((a.high, a.high_closed), (b.high, b.high_closed))
    if low[0] > high[0] or (low[0] == high[0] and (low[1] or not high[1])):
        return None
    return Interval(low[0], high[0], not low[1], high[1])


def _without_points(whole: list[Interval], removed: list[Interval]) -> list[Interval] | None:
    if any(interval.low != interval.high for interval in removed):
        return None
    for point in (interval.low for interval in removed):
        cut: list[Interval] = []
        for interval in whole:
            if interval.low < point < interval.high:
                cut += [
                    Interval(interval.low, point, interval.low_closed, False),
                    Interval(point, interval.high, False, interval.high_closed),
                ]
            else:
                cut.append(interval)
        whole = cut
    return whole


def _merged(intervals: list[Interval]) -> list[Interval]:
    """The same set as disjoint intervals from left to right."""
    merged: list[Interval] = []
    for interval in sorted(intervals, key=lambda interval: (interval.low, not interval.low_closed)):
        last = merged[-1] if merged else None
        if last is not None and (
            interval.low < last.high or (interval.low == last.high and (interval.low_closed or last.high_closed))
        ):
            high = max((last.high, last.high_closed), (interval.high, interval.high_closed))
            merged[-1] = Interval(last.low, high[0], last.low_closed, high[1])
        else:
            merged.append(interval)
    return merged


def infinity_sign(node: Node) -> int:
    """1 for infinity, -1 for minus infinity, 0 for anything else."""
    if node.op == "neg":
        return -infinity_sign(node.args[0])
    return int(node.op == "const" and node.value == "infinity")
