"""At which points two expressions are compared: near zero, far out, and around every place where one of them may break.

An expression breaks at a kink or jump (absolute values, floors, maxima) and at the ends of its domain (roots, logarithms). Such
places are where an inner expression is zero (or, for floors, a whole number); they are found exactly where it is a rational
function, else on a ladder of values. Variables that are whole numbers (`n`, `k`) are given whole numbers alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise

from cogitate.rewards.math.decide.functions import Number, UndefinedError, mpf
from cogitate.rewards.math.decide.numbers import evaluate, exact, unit_hash, variables
from cogitate.rewards.math.decide.rational import coefficients, rational_form
from cogitate.rewards.math.decide.roots import real_roots
from cogitate.rewards.math.parser.nodes import Node

NEAR_ZERO = 7  # generic points
MAX_BREAKS = 12  # places, of one variable
MAX_POINTS = 220
WHOLE_NAMES = frozenset({"n", "k"})
_WHOLE = (*range(1, 26), 0, -1, -2, -3, -4, 30, 36, 48, 60, 64, 97, 100, 101, 128, 1000, 1001, -50, 10**6 + 3)
_FAR = tuple(
    map(Fraction, ("11.37", "-13.61", "103.3", "-98.7", "5003.7", "-7001.9", "1000003.9", "-1000007.3", "1000000019.7"))
)
_LADDER = tuple(map(Fraction, (-(10**6), -(10**4), -1000, -300, -100, -50, *range(-20, 21), 50, 100, 300, 1000, 10**4, 10**6)))
_STEPS = (Fraction(1, 1000), Fraction(1, 7), Fraction(1))


@dataclass(frozen=True, slots=True)
class Break:
    """An inner expression whose zeros (and whole values, where it jumps) are places to look at.

    Attributes:
        is_kink: the outer expression goes on behind it in another way; else its domain ends there.
    """

    inner: Node
    is_kink: bool
    jumps: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """Values of the variables.

    Attributes:
        kinks: beside a kink of the left expression, of the right one: there both must have a value.
    """

    values: dict[str, Number]
    kinks: tuple[bool, bool] = (False, False)


def sample(name: str, point: int) -> Number:
    """A pseudo-random real value of a variable: positive at even points, negative at odd ones, 0.25 to 2.25 in size."""
    size = mpf(0.25) + 2 * unit_hash(f"{name}/{point}")
    return -size if point % 2 else size


def points(left: Node, right: Node, names: list[str]) -> Iterator[Point]:
    """The points at which two expressions in some variables are compared, at most MAX_POINTS."""
    return islice(_points(left, right, names), MAX_POINTS)


def generic_points(names: list[str]) -> Iterator[dict[str, Number]]:
    """NEAR_ZERO points without any care for where expressions break."""
    for index in range(NEAR_ZERO):
        yield {name: _generic(name, index) for name in names}


def _points(left: Node, right: Node, names: list[str]) -> Iterator[Point]:
    for values in generic_points(names):
        yield Point(values)
    both = (breaks_of(left), breaks_of(right))
    for name in names:
        for index in range(1 if len(names) == 1 else 2):
            others = {other: _rational_sample(other, index) for other in names if other != name}
            yield from _along(name, others, both)


def _along(name: str, others: dict[str, Fraction], both: tuple[list[Break], list[Break]]) -> Iterator[Point]:
    """Points on a line in the direction of one variable."""
    kinks = [_places(side, name, others, kinks=True) for side in both]
    ends = [place for side in both for place in _places(side, name, others, kinks=False)]
    fixed = {other: _number(value) for other, value in others.items()}
    places = sorted({*kinks[0], *kinks[1], *ends})[: 3 * MAX_BREAKS]
    for place in places:
        beside = (place in kinks[0], place in kinks[1])
        for value in _around(place, places, whole=name in WHOLE_NAMES):
            yield Point({**fixed, name: _number(value)}, beside if value != place else (False, False))
    for value in _WHOLE if name in WHOLE_NAMES else _FAR:
        yield Point({**fixed, name: _number(Fraction(value))})


def _around(place: Fraction, places: list[Fraction], *, whole: bool) -> list[Fraction]:
    if whole:
        return [Fraction(math.floor(place) + step) for step in (-1, 0, 1, 2)]
    gaps = [abs(other - place) for other in places if other != place]
    reach = min([*gaps, Fraction(4)]) / 2
    steps = [step for step in _STEPS if step <= reach] or [reach / 3]
    return [place, *(place + sign * step for step in steps for sign in (-1, 1))]


def breaks_of(node: Node) -> list[Break]:
    """Where an expression may break."""
    found = [found for arg in node.args for found in breaks_of(arg)]
    if node.op in ("abs", "floor", "ceil"):
        found.append(Break(node.args[0], True, jumps=node.op != "abs"))
    elif (node.op == "root" and (degree := exact_or_none(node.args[1])) is not None and degree % 2 == 0) or (
        node.op == "pow" and (exponent := exact_or_none(node.args[1])) is not None and exponent.denominator % 2 == 0
    ):
        found.append(Break(node.args[0], False))
    elif node.op == "call" and node.value in ("max", "min"):
        pairs = [(a, b) for index, a in enumerate(node.args) for b in node.args[index + 1 :]]
        found += [Break(Node("sub", pair), True) for pair in pairs[:10]]
    elif node.op == "call" and node.value == "bmod":
        found.append(Break(Node("div", node.args), True, jumps=True))
    elif node.op == "call" and node.value in ("log", "ln", "lg", "log_base"):
        found += [Break(arg, False) for arg in node.args]
    elif node.op == "call" and node.value in ("arcsin", "arccos", "arccosh", "arctanh"):
        one = Node("num", (), (Fraction(1), "1"))
        found += [Break(Node(sign, (node.args[0], one)), False) for sign in ("add", "sub")]
    return list(dict.fromkeys(found))


def exact_or_none(node: Node) -> Fraction | None:
    """The rational value of a constant, None where it has none."""
    try:
        return exact(node)
    except UndefinedError:
        return None


def _places(breaks: list[Break], name: str, others: dict[str, Fraction], *, kinks: bool) -> list[Fraction]:
    found: set[Fraction] = set()
    for place in breaks:
        if place.is_kink != kinks or name not in variables(place.inner):
            continue
        inner = _substituted(place.inner, others)
        levels = (0, 1, 2, -1, 3, -2, 10, 1000) if place.jumps else (0,)
        for level in levels:
            found.update(_solutions(inner, name, Fraction(level))[:MAX_BREAKS])
    return sorted(found, key=lambda value: (abs(value), value))[: 2 * MAX_BREAKS]


def zeros_of(node: Node, name: str) -> list[Fraction]:
    """Where an expression in one variable is zero or has a pole."""
    return _solutions(node, name, Fraction(0))


def _solutions(node: Node, name: str, level: Fraction) -> list[Fraction]:
    """Where an expression in one variable has a value, to many digits."""
    try:
        form = rational_form(Node("sub", (node, Node("num", (), (level, str(level))))))
    except UndefinedError:
        return []
    if form is not None:
        roots = [real_roots(values) for values in (coefficients(form.above, name), coefficients(form.below, name)) if values]
        if len(roots) == 2:
            return sorted({*roots[0], *roots[1]})
    return _crossings(node, name, level)


def _crossings(node: Node, name: str, level: Fraction) -> list[Fraction]:
    """Sign changes on the ladder, closed in by halving."""
    heights = [(value, _height(node, name, value, level)) for value in _LADDER]
    found = [value for value, height in heights if height == 0]
    for (low, start), (high, end) in pairwise(heights):
        if start is not None and end is not None and start * end < 0:
            found.append(_halved(node, name, level, low, high))
    return found


def _halved(node: Node, name: str, level: Fraction, low: Fraction, high: Fraction) -> Fraction:
    start = _height(node, name, low, level)
    for _ in range(40):
        middle = (low + high) / 2
        height = _height(node, name, middle, level)
        if not height or start is None:
            return middle
        low, high = (middle, high) if height * start > 0 else (low, middle)
    return (low + high) / 2


def _height(node: Node, name: str, value: Fraction, level: Fraction) -> float | None:
    try:
        found = evaluate(node, {name: _number(value)}, digits=20, real_only=True)
    except UndefinedError:
        return None
    return None if isinstance(found, list) else float(found - _number(level))


def _substituted(node: Node, values: dict[str, Fraction]) -> Node:
    if node.op == "var" and node.value in values:
        value = values[node.value]
        return Node("num", (), (value, str(value)))
    return Node(node.op, tuple(_substituted(arg, values) for arg in node.args), node.value)


def _generic(name: str, index: int) -> Number:
    return _number(Fraction(_WHOLE[index])) if name in WHOLE_NAMES else sample(name, index)


def _rational_sample(name: str, index: int) -> Fraction:
    if name in WHOLE_NAMES:
        return Fraction(5 + 2 * index)
    digest = hashlib.sha256(f"{name}/{index}".encode("utf-8", "surrogatepass")).digest()
    size = Fraction(1, 4) + Fraction(digest[0], 128)
    return -size if index % 2 else size


def _number(value: Fraction) -> Number:
    return mpf(value.numerator) / value.denominator
