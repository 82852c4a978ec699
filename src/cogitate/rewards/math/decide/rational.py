"""Rational functions in a normal form: two polynomials with rational coefficients, so that equality is decided exactly."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from cogitate.rewards.math.decide.functions import UndefinedError
from cogitate.rewards.math.decide.numbers import exact
from cogitate.rewards.math.parser.nodes import Node

MAX_TERMS = 300  # of one polynomial; what needs more is left to points
MAX_EXPONENT = 60
MAX_COEFFICIENT_BITS = 4000
_CONSTANTS = {"pi": "\x00pi", "e": "\x00e"}  # transcendental: they behave like variables

Monomial = tuple[tuple[str, int], ...]  # (name, exponent), sorted by name
Polynomial = dict[Monomial, Fraction]  # without zero coefficients


@dataclass(frozen=True, slots=True)
class Rational:
    above: Polynomial
    below: Polynomial


class TooLargeError(ValueError):
    """A polynomial of more terms or larger coefficients than we compute with."""


def rational_form(node: Node) -> Rational | None:
    """The normal form of a rational function; None where an expression is none, or is too large.

    Raises:
        UndefinedError: division by something that is always zero.
    """
    try:
        return _form(node)
    except TooLargeError:
        return None


def same_rational(left: Rational, right: Rational) -> bool | None:
    """Whether two rational functions are the same; None where that is too large to compute, or hangs on both pi and e."""
    try:
        difference = add(multiply(left.above, right.below), multiply(right.above, left.below), -1)
    except TooLargeError:
        return None
    constants = {name for monomial in difference for name, _ in monomial if name.startswith("\x00")}
    return not difference if len(constants) < 2 else None


def rational_ratio(left: Rational, right: Rational) -> Fraction | None:
    """The constant c with left = c * right; None where there is none, or one of them is always zero.

    Raises:
        TooLargeError: too large to compute.
    """
    one, other = multiply(left.above, right.below), multiply(right.above, left.below)
    if not one or one.keys() != other.keys():
        return None
    ratios = {one[monomial] / other[monomial] for monomial in one}
    return ratios.pop() if len(ratios) == 1 else None


def coefficients(polynomial: Polynomial, name: str) -> list[Fraction] | None:
    """The coefficients in one variable from the constant one upwards; None where another name stands in the polynomial."""
    found: dict[int, Fraction] = {}
    for monomial, value in polynomial.items():
        if any(other != name for other, _ in monomial):
            return None
        found[monomial[0][1] if monomial else 0] = value
    return [found.get(exponent, Fraction(0)) for exponent in range(max(found, default=-1) + 1)]


def add(left: Polynomial, right: Polynomial, sign: int = 1) -> Polynomial:
    total = dict(left)
    for monomial, value in right.items():
        found = total.get(monomial, Fraction(0)) + sign * value
        if found:
            total[monomial] = found
        else:
            total.pop(monomial, None)
    return _checked(total)


def multiply(left: Polynomial, right: Polynomial) -> Polynomial:
    total: Polynomial = {}
    if len(left) * len(right) > MAX_TERMS**2 // 4:
        raise TooLargeError
    for a, x in left.items():
        for b, y in right.items():
            monomial = _times(a, b)
            found = total.get(monomial, Fraction(0)) + x * y
            if found:
                total[monomial] = found
            else:
                total.pop(monomial, None)
    return _checked(total)


def _times(a: Monomial, b: Monomial) -> Monomial:
    if not a or not b:
        return a or b
    powers = dict(a)
    for name, exponent in b:
        powers[name] = powers.get(name, 0) + exponent
    return tuple(sorted(powers.items()))


def _checked(polynomial: Polynomial) -> Polynomial:
    if len(polynomial) > MAX_TERMS or any(
        value.numerator.bit_length() + value.denominator.bit_length() > MAX_COEFFICIENT_BITS for value in polynomial.values()
    ):
        raise TooLargeError
    return polynomial


def _form(node: Node) -> Rational | None:
    constant = exact(node)
    if constant is not None:
        return Rational({(): constant} if constant else {}, _ONE)
    name = node.value if node.op == "var" else _CONSTANTS.get(str(node.value)) if node.op == "const" else None
    if name is not None:
        return Rational({((name, 1),): Fraction(1)}, _ONE)
    if node.op == "pow":
        return _power(node)
    if node.op == "binom":
        return _binomial(node)
    if node.op not in ("add", "sub", "mul", "div", "neg", "percent"):
        return None
    forms = [_form(arg) for arg in node.args]
    known = [form for form in forms if form is not None]
    return None if len(known) < len(forms) else _operation(node.op, known)


_ONE: Polynomial = {(): Fraction(1)}


def _operation(operation: str, forms: list[Rational]) -> Rational:
    left, right = forms[0], forms[-1]
    match operation:
        case "neg":
            return Rational(add({}, left.above, -1), left.below)
        case "percent":
            return Rational(multiply(left.above, {(): Fraction(1, 100)}), left.below)
        case "mul":
            return Rational(multiply(left.above, right.above), multiply(left.below, right.below))
        case "div":
            if not right.above:
                raise UndefinedError("division by zero")
            return Rational(multiply(left.above, right.below), multiply(left.below, right.above))
        case _:
            sign = 1 if operation == "add" else -1
            if left.below == right.below:
                return Rational(add(left.above, right.above, sign), left.below)
            above = add(multiply(left.above, right.below), multiply(right.above, left.below), sign)
            return Rational(above, multiply(left.below, right.below))


def _power(node: Node) -> Rational | None:
    exponent = exact(node.args[1])
    base = _form(node.args[0]) if exponent is not None and exponent.denominator == 1 and abs(exponent) <= MAX_EXPONENT else None
    if base is None or exponent is None:
        return None
    above, below = (base.above, base.below) if exponent >= 0 else (base.below, base.above)
    if not below:
        raise UndefinedError("division by zero")
    raised = Rational(_ONE, _ONE)
    for _ in range(abs(int(exponent))):
        raised = Rational(multiply(raised.above, above), multiply(raised.below, below))
    return raised


def _binomial(node: Node) -> Rational | None:
    """`n choose 3` is a polynomial in n."""
    count = exact(node.args[1])
    top = _form(node.args[0]) if count is not None and count.denominator == 1 and 0 <= count <= 12 else None
    if top is None or count is None or top.below != _ONE:
        return None
    above = _ONE
    for index in range(int(count)):
        above = multiply(multiply(above, add(top.above, {(): Fraction(-index)} if index else {})), {(): Fraction(1, index + 1)})
    return Rational(above, _ONE)
