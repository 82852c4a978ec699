"""When printed output is the expected one, and values in few words for a reason."""

from __future__ import annotations

import math
import re
import reprlib
from typing import Any

FLOAT_TOLERANCE = 1e-9  # relative or absolute



def same_output(expected: str, printed: str) -> bool:
    """Line by line, words compared: white space at line ends and blank lines at the end do not count.

    A word that is expected to be a number with a decimal point may differ by FLOAT_TOLERANCE; every other word is exact.
    """
    mine, its = expected.rstrip().split("\n"), printed.rstrip().split("\n")
    return len(mine) == len(its) and all(_same_line(a, b) for a, b in zip(mine, its, strict=True))


def _same_line(expected: str, printed: str) -> bool:
    if expected.rstrip() == printed.rstrip():
        return True
    mine, its = expected.split(), printed.split()
    return len(mine) == len(its) and all(a == b or _same_decimal(a, b) for a, b in zip(mine, its, strict=True))


def _same_decimal(expected: str, printed: str) -> bool:
    pattern = r"[+-]?\d+\.\d+(?:[eE][+-]?\d+)?"
    if not re.fullmatch(pattern, expected) or not re.fullmatch(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", printed):
        return False
    if len(printed) > 400 or len(expected) > 400:
        return False
    return math.isclose(float(expected), float(printed), rel_tol=FLOAT_TOLERANCE, abs_tol=FLOAT_TOLERANCE)


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
