"""Real zeros of polynomials in one variable with rational coefficients."""

from __future__ import annotations

from fractions import Fraction

from mpmath.libmp import NoConvergence

from cogitate.rewards.math.decide.functions import Number, mp, mpf

MAX_DEGREE = 12
_DIGITS = 120


def real_roots(values: list[Fraction]) -> list[Fraction]:
    """The real zeros, in order, of a polynomial given by its coefficients from the constant upwards.

    Irrational ones are given to 50 decimals. Beyond MAX_DEGREE none are found.
    """
    values = _square_free(_trimmed(values))
    if len(values) < 2 or len(values) > MAX_DEGREE + 1:
        return []
    if len(values) == 2:
        return [-values[0] / values[1]]
    with mp.workdps(_DIGITS):
        try:
            powers = [mpf(value.numerator) / value.denominator for value in reversed(values)]
            found = mp.polyroots(powers, maxsteps=200, extraprec=400)
        except (NoConvergence, ZeroDivisionError):
            return []
        return sorted({_as_fraction(mp.re(root)) for root in found if abs(mp.im(root)) < mpf(10) ** -60 * (1 + abs(root))})


def _as_fraction(value: Number) -> Fraction:
    """A number as a fraction: a short one where it is that to 40 digits."""
    precise = Fraction(int(mp.nint(value * 10**50)), 10**50)
    short = precise.limit_denominator(10**6)
    return short if abs(short - precise) < Fraction(1, 10**40) else precise


def _square_free(values: list[Fraction]) -> list[Fraction]:
    """The polynomial with the same zeros, each of them simple: divided by what it shares with its derivative."""
    if len(values) < 3 or len(values) > MAX_DEGREE + 1:
        return values
    a, b = values, _trimmed([index * value for index, value in enumerate(values)][1:])
    while b:
        a, b = b, _divide(a, b)[1]
    return _divide(values, a)[0] if len(a) > 1 else values


def _divide(above: list[Fraction], below: list[Fraction]) -> tuple[list[Fraction], list[Fraction]]:
    """Quotient and remainder."""
    rest, quotient = list(above), [Fraction(0)] * max(0, len(above) - len(below) + 1)
    for shift in range(len(above) - len(below), -1, -1):
        factor = rest[shift + len(below) - 1] / below[-1]
        quotient[shift] = factor
        for index, value in enumerate(below):
            rest[shift + index] -= factor * value
    return quotient, _trimmed(rest)


def _trimmed(values: list[Fraction]) -> list[Fraction]:
    """Without zeros at its high end."""
    while values and not values[-1]:
        values = values[:-1]
    return values
