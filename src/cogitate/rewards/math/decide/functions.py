"""Operations on many-digit numbers, each of which refuses what has no value or is too large to compute."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from mpmath.ctx_mp import MPContext

WORKING_DIGITS = 50
TOLERANCE_DIGITS = 35
FLOAT_BITS = 10**7  # magnitudes beyond 2**FLOAT_BITS are not computed
MAX_FACTORIAL = 5000

mp = MPContext()  # a context of our own: nobody else's precision changes
mp.dps = WORKING_DIGITS
mpf, mpc = mp.mpf, mp.mpc
Number = Any  # mpf or mpc


class UndefinedError(ValueError):
    """Division by zero, infinity, or an operation without a value here."""


class NotRealError(UndefinedError):
    """There is no real value here, though there may be a complex one."""


def is_real(value: Number) -> bool:
    return isinstance(value, mpf) or abs(value.imag) <= mpf(10) ** -TOLERANCE_DIGITS * max(1, abs(value.real))


def divide(above: Number, below: Number) -> Number:
    if abs(below) < mpf(10) ** -(WORKING_DIGITS - 5):
        raise UndefinedError("division by zero")
    return above / below


def power(base: Number, exponent: Number) -> Number:
    """Principal power; refuses results of more than FLOAT_BITS bits."""
    if base == 0:
        if mp.re(exponent) <= 0 and exponent != 0:
            raise UndefinedError("division by zero")
        return mpf(1) if exponent == 0 else mpf(0)
    if abs(exponent) > mpf(10) ** 30 or abs(exponent * mp.log(abs(base), 2)) > FLOAT_BITS:
        raise UndefinedError("too large to compute")
    return base**exponent


def rational_power(base: Number, exponent: Fraction) -> Number:
    """Power with a rational exponent: real where the base is negative and the denominator odd, as the root is."""
    if isinstance(base, mpf) and base < 0 and exponent.denominator % 2 and exponent.denominator > 1:
        size = power(-base, mpf(exponent.numerator) / exponent.denominator)
        return -size if exponent.numerator % 2 else size
    return power(base, mpf(exponent.numerator) / exponent.denominator)


def rounded_down(value: Number) -> Number:
    """The floor; a value that is a whole number but for rounding counts as that."""
    nearest = mp.nint(value)
    return nearest if abs(value - nearest) <= mpf(10) ** -TOLERANCE_DIGITS * max(1, abs(value)) else mp.floor(value)


def rounded_up(value: Number) -> Number:
    return -rounded_down(-value)


def remainder(value: Number, modulus: Number) -> Number:
    return value - modulus * rounded_down(divide(value, modulus))


def root(radicand: Number, degree: Number) -> Number:
    """The real root of a negative number where the degree is odd, else the principal root."""
    if degree == 0:
        raise UndefinedError("a root of degree zero")
    if isinstance(radicand, mpf) and radicand < 0 and isinstance(degree, mpf) and degree == int(degree) and int(degree) % 2:
        return -power(-radicand, 1 / degree)
    return power(radicand, 1 / degree)


def factorial(value: Number) -> Number:
    if abs(value) > MAX_FACTORIAL:
        raise UndefinedError("too large to compute")
    if isinstance(value, mpf) and value < 0 and value == int(value):
        raise UndefinedError("factorial of a negative integer")
    return mp.factorial(value)


def real(value: Number) -> Number:
    if not is_real(value):
        raise UndefinedError("a complex number where a real one is needed")
    return mp.re(value)


def matrix_operation(op: str, values: list[Any]) -> Any:
    """Sums, products and multiples of matrices.

    Raises:
        UndefinedError: shapes that do not fit, or an operation that matrices do not have.
    """
    left, right = values[0], values[-1]
    if op == "neg":
        return [[-cell for cell in row] for row in left]
    if op == "mul" and not (isinstance(left, list) and isinstance(right, list)):
        factor, matrix = (right, left) if isinstance(left, list) else (left, right)
        return [[factor * cell for cell in row] for row in matrix]
    if op == "div" and not isinstance(right, list):
        return [[divide(cell, right) for cell in row] for row in left]
    if op in ("add", "sub") and isinstance(left, list) and isinstance(right, list):
        if (len(left), len(left[0])) != (len(right), len(right[0])):
            raise UndefinedError("matrices of different shapes")
        sign = 1 if op == "add" else -1
        return [[a + sign * b for a, b in zip(*rows, strict=True)] for rows in zip(left, right, strict=True)]
    if op == "mul" and len(left[0]) == len(right):
        columns = list(zip(*right, strict=True))
        return [[mp.fdot(row, column) for column in columns] for row in left]
    raise UndefinedError(f"{op} of matrices")


def determinant(matrix: list[list[Number]]) -> Number:
    if len(matrix) != len(matrix[0]) or len(matrix) > 8:
        raise UndefinedError("no determinant")
    return mp.det(mp.matrix(matrix))


def _logarithm(value: Number, base: Number | None = None) -> Number:
    if value == 0 or base == 0 or base == 1:
        raise UndefinedError("logarithm without a value")
    return mp.log(value) if base is None else mp.log(value) / mp.log(base)


def _integers(values: list[Number]) -> list[int]:
    if any(value != int(value) for value in values):
        raise UndefinedError("a whole number is needed")
    return [int(value) for value in values]


_WHOLE = ("gcd", "lcm")


def exact_of_many(name: str, values: list[Fraction]) -> Fraction | None:
    """The largest, smallest, greatest common divisor or least common multiple of exact numbers."""
    if name in _WHOLE:
        if any(value.denominator != 1 for value in values):
            raise UndefinedError("a whole number is needed")
        numbers = [int(value) for value in values]
        return Fraction(math.gcd(*numbers) if name == "gcd" else math.lcm(*numbers))
    return max(values) if name == "max" else min(values)


def exact_root(value: Fraction, degree: Fraction) -> Fraction | None:
    """The rational root of a rational number; None where it has none, or the numbers are large."""
    if degree.denominator != 1 or not 2 <= degree <= 64 or (value < 0 and degree % 2 == 0):
        return None
    parts = [_whole_root(part, int(degree)) for part in (abs(value.numerator), value.denominator)]
    if parts[0] is None or parts[1] is None:
        return None
    return Fraction(parts[0], parts[1]) * (-1 if value < 0 else 1)


def _whole_root(number: int, degree: int) -> int | None:
    if degree == 2:
        found = math.isqrt(number)
    else:
        low, high = 0, 1 << (number.bit_length() // degree + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**degree <= number else (low, middle - 1)
        found = low
    return found if found**degree == number else None


OF_MANY: dict[str, Any] = {
    "max": max,
    "min": min,
    "gcd": lambda values: mpf(math.gcd(*_integers(values))),
    "lcm": lambda values: mpf(math.lcm(*_integers(values))),
}
KNOWN_FUNCTIONS: dict[str, Any] = {
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "cot": mp.cot, "sec": mp.sec, "csc": mp.csc, "arcsin": mp.asin,
    "arccos": mp.acos, "arctan": mp.atan, "arccot": mp.acot, "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh,
    "arcsinh": mp.asinh, "arccosh": mp.acosh, "arctanh": mp.atanh,
    "log": _logarithm, "ln": _logarithm, "log_base": _logarithm, "exp": lambda value: power(mp.e * 1, value),
    "lg": lambda value: _logarithm(value, mpf(10)), "det": lambda value: value,
}  # fmt: skip
