"""When printed output is the expected one, and values in few words for a reason."""

from __future__ import annotations

import re
import reprlib
from decimal import Context, Decimal
from typing import Any

VALUE_TOLERANCE = 1e-9  # of numbers that a function returns, relative or absolute
PRINTED_TOLERANCE = 1e-6  # of numbers that a program prints: what contest judges usually accept
LONGEST_NUMBER = 10_000  # characters of a number with a point; longer ones are compared as texts

_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d*)", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d{1,5})?|\d+[eE][+-]\d{1,5})", re.ASCII)
_EXACT = Context(prec=60)


def same_output(expected: str, printed: str, *, tolerance: float = PRINTED_TOLERANCE) -> bool:
    """Line by line, words compared: white space at line ends and blank lines at the end do not count.

    Words are equal as texts, or as numbers of which at least one is written with a point or an exponent and which differ by no
    more than `tolerance`, relative or absolute; an expected integer must also be the nearest to what is printed. With a
    tolerance of 0 every word is compared as text.
    """
    mine, its = expected.rstrip().split("\n"), printed.rstrip().split("\n")
    return len(mine) == len(its) and all(_same_line(a, b, tolerance) for a, b in zip(mine, its, strict=True))


def _same_line(expected: str, printed: str, tolerance: float) -> bool:
    if expected.rstrip() == printed.rstrip():
        return True
    mine, its = expected.split(), printed.split()
    return len(mine) == len(its) and all(a == b or _same_number(a, b, tolerance) for a, b in zip(mine, its, strict=True))


def _same_number(expected: str, printed: str, tolerance: float) -> bool:
    whole = _INTEGER.fullmatch(expected) is not None
    if not tolerance or len(expected) > LONGEST_NUMBER or len(printed) > LONGEST_NUMBER:
        return False
    if not (whole or _DECIMAL.fullmatch(expected)) or not (_DECIMAL.fullmatch(printed) or _INTEGER.fullmatch(printed)):
        return False
    if whole and _INTEGER.fullmatch(printed):
        return False  # two integers are equal as texts
    mine, its = Decimal(expected), Decimal(printed)
    apart = abs(_EXACT.subtract(mine, its))
    near = Decimal(tolerance) * max(Decimal(1), abs(mine), abs(its))
    return apart <= near and (not whole or apart < Decimal("0.5"))


_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxother = 120
_shortener.maxlist = _shortener.maxtuple = _shortener.maxset = _shortener.maxdict = 12


def shorten(value: Any) -> str:
    """A value in a few words, for a reason."""
    try:
        return _shortener.repr(value)
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        return "a very large integer"


def printable(text: str) -> str:
    """One line without control characters: reasons reach logs and terminals."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)[:1000]
