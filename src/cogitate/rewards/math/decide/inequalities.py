"""Inequalities in one variable, solved: between the places where its two sides cross or break, one holds or it does not."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from cogitate.rewards.math.decide.functions import Number, UndefinedError, is_real, mp, mpf
from cogitate.rewards.math.decide.intervals import Interval
from cogitate.rewards.math.decide.numbers import evaluate, variables
from cogitate.rewards.math.decide.points import breaks_of, zeros_of
from cogitate.rewards.math.decide.rational import coefficients, rational_form
from cogitate.rewards.math.decide.roots import real_roots
from cogitate.rewards.math.parser.nodes import Node

FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
_ZERO = mpf(10) ** -30


def solve_inequality(left: Node, right: Node, relation: str, name: str) -> list[Interval] | None:
    """The solutions of `left relation right` in its one variable as disjoint intervals from left to right.

    None where it is not piecewise rational, has jumps, or speaks of the absolute value of z, which may be complex.
    """
    difference = Node("sub", (left, right))
    breaks = [place for place in breaks_of(difference) if variables(place.inner)]
    if relation not in FLIPPED or relation == "=" or any(place.jumps or not place.is_kink for place in breaks):
        return None
    if name == "z" and breaks:
        return None
    kinks = sorted({place for item in breaks for place in zeros_of(item.inner, name)})
    found = [_number(kink) for kink in kinks]
    for low, high in pairwise([None, *kinks, None]):
        crossings = _crossings(difference, name, low, high)
        if crossings is None:
            return None
        found += crossings
    places: list[Number] = []
    for place in sorted(found):
        if not places or place - places[-1] > _ZERO * (1 + abs(place)):
            places.append(place)
    return _pieces(difference, relation, name, places)


def _crossings(difference: Node, name: str, low: Fraction | None, high: Fraction | None) -> list[Number] | None:
    """Zeros and poles between two kinks, where the expression is a rational function or a line; None where it is neither."""
    inside = _between(low, high)
    plain = _without_kinks(difference, name, inside)
    try:
        form = rational_form(plain)
    except UndefinedError:
        return None
    if form is None:
        zeros = _zero_of_line(plain, name)
        if zeros is None:
            return None
    else:
        sides = [coefficients(form.above, name), coefficients(form.below, name)]
        zeros = [_number(root) for side in sides if side for root in real_roots(side)]
        if None in sides:
            zeros = _zero_of_line(plain, name) or []
            if not zeros:
                return None
    return [zero for zero in zeros if (low is None or zero > _number(low)) and (high is None or zero < _number(high))]


def _between(low: Fraction | None, high: Fraction | None) -> Fraction:
    if low is None:
        return Fraction(0) if high is None else high - 1
    return low + 1 if high is None else (low + high) / 2


def _without_kinks(node: Node, name: str, at: Fraction) -> Node:
    """The expression as it is written beside a point: the absolute value and the maximum resolved there."""
    args = tuple(_without_kinks(arg, name, at) for arg in node.args)
    if node.op == "abs":
        return args[0] if _value(args[0], name, at) >= 0 else Node("neg", args)
    if node.op == "call" and node.value in ("max", "min"):
        best = (max if node.value == "max" else min)(range(len(args)), key=lambda index: _value(args[index], name, at))
        return args[best]
    return Node(node.op, args, node.value)


def _zero_of_line(node: Node, name: str) -> list[Number] | None:
    """The zero of a x + b with any constants a and b; None where an expression is no line."""
    try:
        at = {x: evaluate(node, {name: mpf(x)}) for x in (0, 1, 2, -3, 1000)}
    except UndefinedError:
        return None
    if any(isinstance(value, list) or not is_real(value) for value in at.values()):
        return None
    slope, start = mp.re(at[1] - at[0]), mp.re(at[0])
    straight = all(abs(slope * x + start - at[x]) < _ZERO * (1 + abs(at[x])) for x in (2, -3, 1000))
    return None if not straight else [-start / slope] if slope != 0 else []


def _pieces(difference: Node, relation: str, name: str, places: list[Number]) -> list[Interval]:
    """The intervals between the places, and the places themselves, where the relation holds."""
    ends = [-mp.inf, *places, mp.inf]
    holding: list[Interval] = []
    for low, high in pairwise(ends):
        middle = _middle(low, high)
        if _holds(difference, relation, name, middle):
            holding.append(Interval(low, high, False, False))
    holding += [Interval(place, place, True, True) for place in places if _holds(difference, relation, name, place)]
    return holding


def _middle(low: Number, high: Number) -> Number:
    if mp.isinf(low):
        return mpf(0) if mp.isinf(high) else high - 1
    return low + 1 if mp.isinf(high) else (low + high) / 2


def _holds(difference: Node, relation: str, name: str, value: Number) -> bool:
    try:
        found = evaluate(difference, {name: value}, real_only=True)
    except UndefinedError:
        return False
    if isinstance(found, list):
        return False
    sign = 0 if abs(found) < _ZERO * (1 + abs(value)) else 1 if found > 0 else -1
    return {"<": sign < 0, ">": sign > 0, "<=": sign <= 0, ">=": sign >= 0, "!=": sign != 0}[relation]


def _value(node: Node, name: str, at: Fraction) -> Number:
    try:
        found = evaluate(node, {name: _number(at)} if name in variables(node) else {}, real_only=True)
    except UndefinedError:
        return mpf(0)
    return mpf(0) if isinstance(found, list) else found


def _number(value: Fraction) -> Number:
    return mpf(value.numerator) / value.denominator
