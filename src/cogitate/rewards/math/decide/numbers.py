"""Values of expressions: exact fractions where possible, else many-digit floating point (mpmath) at given points.

No symbolic simplification is tried, so the time is bounded. Functions we do not know (`f`, `F_n`, sums with bounds, integrals)
are given pseudo-random values that depend on their name and arguments: equal calls are equal, others differ.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mpmath.libmp import NoConvergence

from cogitate.rewards.math.decide.functions import (
    FLOAT_BITS,
    KNOWN_FUNCTIONS,
    OF_MANY,
    TOLERANCE_DIGITS,
    WORKING_DIGITS,
    NotRealError,
    Number,
    UndefinedError,
    determinant,
    divide,
    exact_of_many,
    exact_root,
    factorial,
    is_real,
    matrix_operation,
    mp,
    mpc,
    mpf,
    power,
    rational_power,
    real,
    remainder,
    root,
    rounded_down,
    rounded_up,
)
from cogitate.rewards.math.parser.nodes import Node

EXACT_BITS = 20_000  # larger integers are left to floating point
MAX_OPERATIONS = 5000  # in one evaluation


def exact(node: Node) -> Fraction | None:
    """The rational value of an expression that is made of rational numbers alone; None where it is not, or is too large.

    Raises:
        UndefinedError: division by zero.
    """
    if node.op == "num":
        value: Fraction = node.value[0]
        return value
    if node.op not in _EXACT and not (node.op == "call" and (node.value in OF_MANY or node.value == "bmod")):
        return None
    values = [exact(arg) for arg in node.args]
    if any(value is None for value in values):
        return None
    numbers = [value for value in values if value is not None]
    if sum(value.numerator.bit_length() + value.denominator.bit_length() for value in numbers) > EXACT_BITS:
        return None
    if node.op == "call":
        return _exact_modulo(numbers) if node.value == "bmod" else exact_of_many(node.value, numbers)
    return _exact_operation(node.op, numbers)


_EXACT = frozenset({"add", "sub", "mul", "div", "neg", "pow", "fact", "abs", "percent", "floor", "ceil", "root", "binom"})


def _exact_modulo(values: list[Fraction]) -> Fraction:
    if values[1] == 0:
        raise UndefinedError("division by zero")
    return values[0] % values[1]


def _exact_operation(operation: str, values: list[Fraction]) -> Fraction | None:
    match operation:
        case "add":
            return values[0] + values[1]
        case "sub":
            return values[0] - values[1]
        case "mul":
            return values[0] * values[1]
        case "div":
            if values[1] == 0:
                raise UndefinedError("division by zero")
            return values[0] / values[1]
        case "neg":
            return -values[0]
        case "abs":
            return abs(values[0])
        case "percent":
            return values[0] / 100
        case "floor" | "ceil":
            return Fraction(math.floor(values[0]) if operation == "floor" else math.ceil(values[0]))
        case "root":
            return exact_root(values[0], values[1])
        case "fact":
            n = values[0]
            return Fraction(math.factorial(int(n))) if n.denominator == 1 and 0 <= n <= 1000 else None
        case "binom":
            n, k = values
            whole = n.denominator == k.denominator == 1 and 0 <= k <= n <= 1000
            return Fraction(math.comb(int(n), int(k))) if whole else None
        case _:
            return _exact_power(values[0], values[1])


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1:
        return None
    if base == 0 and exponent < 0:
        raise UndefinedError("division by zero")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    return base ** int(exponent) if bits * abs(exponent) <= EXACT_BITS else None


def variables(node: Node) -> set[str]:
    """Names of the free variables."""
    found = {node.value} if node.op == "var" else set()
    return found.union(*(variables(arg) for arg in node.args))


def unit_hash(text: str) -> Number:
    """A pseudo-random number in [0, 1), equal for equal texts."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return mpf(int.from_bytes(digest[:20], "big")) / mpf(2**160)


def close(left: Number, right: Number) -> bool:
    """Equal to TOLERANCE_DIGITS digits, relative to the larger; zero equals zero alone."""
    return bool(abs(left - right) <= mpf(10) ** -TOLERANCE_DIGITS * max(abs(left), abs(right)))


def settle(node: Node, assignment: Mapping[str, Number], *, digits: int = WORKING_DIGITS, real_only: bool = False) -> Any:
    """The value at a point, exactly zero where it is nothing but rounding.

    A suspiciously small value is computed again with twice the digits: rounding shrinks with them, a small number does not.
    """
    value = evaluate(node, assignment, digits=digits, real_only=real_only)
    if isinstance(value, list) or not 0 < abs(value) < mpf(10) ** -(digits // 2):
        return value
    again = evaluate(node, assignment, digits=2 * digits, real_only=real_only)
    return mpf(0) if abs(again) < abs(value) * mpf(10) ** -(digits // 2) else again


def evaluate(node: Node, assignment: Mapping[str, Number], *, digits: int = WORKING_DIGITS, real_only: bool = False) -> Any:
    """The value at a point: a number, or a list of rows for a matrix.

    Args:
        real_only: every part must be real, as where a function of real numbers is meant.

    Raises:
        UndefinedError: no value there, or too large to compute.
        NotRealError: no real one.
    """
    with mp.workdps(digits):
        try:
            return _Evaluation(assignment, real_only=real_only).value(node)
        except (ZeroDivisionError, OverflowError, NoConvergence) as error:
            raise UndefinedError(str(error)) from error
        except UndefinedError:
            raise
        except ValueError as error:
            raise UndefinedError(str(error)) from error


def largest_bits(node: Node, assignment: Mapping[str, Number]) -> int:
    """How many bits the largest intermediate value has before its point, or FLOAT_BITS where it cannot be computed."""
    walk = _Magnitudes(assignment, real_only=False)
    try:
        walk.value(node)
    except (ValueError, ZeroDivisionError, OverflowError, NoConvergence):
        return FLOAT_BITS
    return walk.largest


class _Evaluation:
    """One walk over a tree; counts its operations."""

    def __init__(self, assignment: Mapping[str, Number], *, real_only: bool):
        self.assignment, self.real_only, self.operations = assignment, real_only, 0

    def value(self, node: Node) -> Any:
        found = self.any_value(node)
        if not isinstance(found, mpc) or not self.real_only:
            return found
        if not is_real(found):
            raise NotRealError("it has no real value")
        return mp.re(found)

    def any_value(self, node: Node) -> Any:
        self.operations += 1
        if self.operations > MAX_OPERATIONS:
            raise UndefinedError("it is too long to compute")
        match node.op:
            case "num":
                return mpf(node.value[0].numerator) / node.value[0].denominator
            case "var":
                return self.assignment.get(node.value, unit_hash(f"bound {node.value}"))
            case "const":
                return self.constant(node.value)
            case "matrix":
                return [[self.value(cell) for cell in row.args] for row in node.args]
            case "bigop":
                return self.opaque(f"{node.value}", node.args)
            case "call":
                return self.call(node)
            case "text":
                return unit_hash(f"text {node.value}")
            case "rel" | "list" | "set" | "bracket" | "ratio":
                return self.opaque(f"{node.op} {node.value}", node.args)
        if node.op == "pow" and (exponent := exact(node.args[1])) is not None and exponent.denominator > 1:
            base = self.value(node.args[0])
            return matrix_operation("pow", [base]) if isinstance(base, list) else rational_power(base, exponent)
        return self.operation(node.op, [self.value(arg) for arg in node.args], node)

    def constant(self, name: str) -> Number:
        if name == "infinity":
            raise UndefinedError("infinity is no number")
        return {"pi": mp.pi, "e": mp.e, "i": mpc(0, 1)}[name] * 1

    def operation(self, op: str, values: list[Any], node: Node) -> Any:
        if any(isinstance(value, list) for value in values):
            return matrix_operation(op, values)
        match op:
            case "add":
                return values[0] + values[1]
            case "sub":
                return values[0] - values[1]
            case "mul":
                return values[0] * values[1]
            case "div":
                return divide(values[0], values[1])
            case "neg":
                return -values[0]
            case "pow":
                return power(values[0], values[1])
            case "root":
                return root(values[0], values[1])
            case "fact":
                return factorial(values[0])
            case "abs":
                return abs(values[0])
            case "floor" | "ceil":
                return (rounded_down if op == "floor" else rounded_up)(real(values[0]))
            case "percent":
                return values[0] / 100
            case "degree":
                return values[0] * mp.pi / 180
            case "binom":
                return factorial(values[0]) / factorial(values[1]) / factorial(values[0] - values[1])
            case "measured":
                return values[0] * self.unit(node)
        raise UndefinedError(f"{op} has no numeric value")

    def unit(self, node: Node) -> Number:
        size = mpf(node.value.factor.numerator) / node.value.factor.denominator
        for base, exponent in node.value.powers:
            size *= (1 + unit_hash(f"unit {base}")) ** exponent
        return size

    def call(self, node: Node) -> Number:
        known = KNOWN_FUNCTIONS.get(node.value)
        if node.value == "bmod" and len(node.args) == 2:
            return remainder(*(real(self.value(arg)) for arg in node.args))
        if node.value in OF_MANY:
            return OF_MANY[node.value]([real(self.value(arg)) for arg in node.args])
        if known is None or len(node.args) > 2:
            return self.opaque(f"call {node.value}", node.args)
        values = [self.value(arg) for arg in node.args]
        if any(isinstance(value, list) for value in values):
            return determinant(values[0]) if node.value == "det" else self.opaque(f"call {node.value}", node.args)
        if any(abs(value) > mpf(10) ** 40 for value in values) and node.value != "log" and node.value != "ln":
            raise UndefinedError(f"{node.value} of a huge number")
        return known(*values)

    def opaque(self, name: str, args: tuple[Node, ...]) -> Number:
        """A value that depends on the name and the values of the arguments, and on nothing else."""
        parts = []
        for arg in args:
            value = self.value(arg)
            parts.append(_digits(value))
        return 1 + unit_hash(f"{name}({','.join(parts)})")


def _digits(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ";".join(",".join(_digits(cell) for cell in row) for row in value) + "]"
    digits: str = mp.nstr(mpc(value), 25, min_fixed=0, max_fixed=0)
    return digits


class _Magnitudes(_Evaluation):
    """A walk that remembers the magnitude of the largest value."""

    largest = 0

    def value(self, node: Node) -> Any:
        found = super().value(node)
        if not isinstance(found, list) and found:
            self.largest = max(self.largest, int(mp.mag(found)))
        return found
