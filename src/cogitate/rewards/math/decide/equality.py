"""Whether two expressions are equal: decided, not guessed. What is not decided is not equal.

- Rational functions by their normal form (rational.py).
- Constants exactly where they are rational, else to 100 of 150 digits: rounding goes away, a small difference does not.
- Anything else at points near zero, far out and around every kink and jump (points.py), wherever both have a real value (so
  that sqrt(1/n) is 1/sqrt(n)). Beside a kink of one of them the other must have a value too: ln|x| is not ln(x). Expressions
  without real values are compared as complex ones.

The limits are numbers of points, terms and operations, so the time is bounded and verdicts do not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogitate.rewards.math.decide.functions import (
    TOLERANCE_DIGITS,
    WORKING_DIGITS,
    NotRealError,
    Number,
    UndefinedError,
    is_real,
    mp,
    mpc,
    mpf,
)
from cogitate.rewards.math.decide.numbers import exact, largest_bits, settle, variables
from cogitate.rewards.math.decide.points import Point, generic_points, points
from cogitate.rewards.math.decide.rational import TooLargeError, rational_form, rational_ratio, same_rational
from cogitate.rewards.math.parser.nodes import Node

FEWEST_POINTS = 2
_FEW_DIGITS = 8  # what differs there is different without a closer look
_MORE_DIGITS = 3 * WORKING_DIGITS
_MANY_DIGITS = (4 * WORKING_DIGITS, 16 * WORKING_DIGITS)
_MOST_BITS = 2000  # of an intermediate value: beyond, even many digits leave nothing of a small difference


def same_value(left: Node, right: Node) -> bool:
    """Whether two expressions have the same value, for all values of their variables where both are defined."""
    return decide_equal(left, right) is True


def decide_equal(left: Node, right: Node) -> bool | None:
    """Whether two expressions are equal; None where that is not decided."""
    names = sorted(variables(left) | variables(right))
    if not names:
        return _same_constant(left, right)
    if left == right:
        return True
    try:
        forms = rational_form(left), rational_form(right)
    except UndefinedError:
        return False
    if forms[0] is not None and forms[1] is not None and (same := same_rational(forms[0], forms[1])) is not None:
        return same
    return _same_at_points(left, right, names)


def constant_ratio(left: Node, right: Node) -> Number | None:
    """The constant that one expression is of another, at every point; None where there is none, or one is always zero."""
    names = sorted(variables(left) | variables(right))
    try:
        forms = rational_form(left), rational_form(right)
        if forms[0] is not None and forms[1] is not None:
            ratio = rational_ratio(forms[0], forms[1])
            return None if ratio is None else mpf(ratio.numerator) / ratio.denominator
    except TooLargeError:
        pass
    except UndefinedError:
        return None
    ratios: list[Number] = []
    for point in points(left, right, names) if names else [Point({})]:
        try:
            values = settle(left, point.values), settle(right, point.values)
        except UndefinedError:
            continue
        if any(isinstance(value, list) for value in values) or (values[0] == 0) != (values[1] == 0):
            return None
        if values[0] != 0:
            ratios.append(values[0] / values[1])
            if not close(ratios[0], ratios[-1]):
                return None
    return ratios[0] if len(ratios) >= FEWEST_POINTS else None


def close(left: Number, right: Number, *, digits: int = TOLERANCE_DIGITS) -> bool:
    """Equal to so many digits, relative to the larger; zero equals zero alone."""
    return bool(abs(left - right) <= mpf(10) ** -digits * max(abs(left), abs(right)))


def _same_constant(left: Node, right: Node) -> bool:
    try:
        exact_left, exact_right = exact(left), exact(right)
        if exact_left is not None and exact_right is not None:
            return exact_left == exact_right
        return _same_numbers(left, right, {})
    except UndefinedError:
        return False


def _same_numbers(left: Node, right: Node, values: Mapping[str, Number]) -> bool:
    """Whether two expressions have one value at a point, to many digits."""
    pair = settle(left, values), settle(right, values)
    if not _are_numbers(pair) or not close(*pair, digits=_FEW_DIGITS):
        return False
    with mp.workdps(_MORE_DIGITS):
        again = settle(left, values, digits=_MORE_DIGITS), settle(right, values, digits=_MORE_DIGITS)
        return close(*again, digits=2 * WORKING_DIGITS)


def _are_numbers(pair: tuple[Any, Any]) -> bool:
    return all(isinstance(value, (mpf, mpc)) for value in pair)


def _same_at_points(left: Node, right: Node, names: list[str]) -> bool | None:
    agreed: list[Point] = []
    for point in points(left, right, names):
        pair = _real_values(left, right, point)
        if pair is None:
            return False
        if None in pair:
            continue
        if not _are_numbers(pair):
            return False
        if close(*pair):
            agreed.append(point)
        elif not _is_rounding(left, right, point):
            return False
    if len(agreed) < FEWEST_POINTS:
        return _same_complex(left, right, names)
    return _same_numbers(left, right, agreed[0].values)


def _real_values(left: Node, right: Node, point: Point) -> tuple[Any, Any] | None:
    """The real values at a point; (None, None) where none are to be compared, None where one is missing beside a kink."""
    found: list[Any] = []
    for node in (left, right):
        try:
            found.append(settle(node, point.values, real_only=True))
        except NotRealError:
            found.append(None)
        except UndefinedError:
            return None, None
    missing = [value is None for value in found]
    if missing[0] != missing[1] and point.kinks[missing.index(False)]:
        return None
    return (None, None) if any(missing) else (found[0], found[1])


def _is_rounding(left: Node, right: Node, point: Point) -> bool:
    """Whether a difference is due to rounding: it goes away with more digits, or a value still changes with them."""
    if max(largest_bits(node, point.values) for node in (left, right)) > _MOST_BITS:
        return True
    values = []
    for digits in _MANY_DIGITS:
        with mp.workdps(digits):
            try:
                values.append([settle(node, point.values, digits=digits, real_only=True) for node in (left, right)])
            except UndefinedError:
                return True
    with mp.workdps(_MANY_DIGITS[0]):
        if close(*values[1]):
            return True
        return not all(close(values[0][side], values[1][side]) for side in (0, 1))


def _same_complex(left: Node, right: Node, names: list[str]) -> bool | None:
    """Whether expressions without real values agree as complex ones."""
    agreed = 0
    for values in generic_points(names):
        try:
            pair = settle(left, values), settle(right, values)
        except UndefinedError:
            continue
        if not _are_numbers(pair) or not close(*pair):
            return False
        agreed += 1
    return True if agreed >= FEWEST_POINTS else None


def is_positive(ratio: Number) -> bool:
    return is_real(ratio) and mp.re(ratio) > 0
