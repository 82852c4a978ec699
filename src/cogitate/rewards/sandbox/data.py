"""Tagged plain data: what a sandboxed program's values look like on their way out, and when two of them are equal.

JSON's own forms stand for None, bool, int of 64 bits, finite float, str and list. Everything else is an object with one
key, its tag: {"int": "0x.."}, {"float": "nan"}, {"tuple": [..]}, {"set": [..]}, {"frozenset": [..]}, {"dict": [[k, v], ..]},
{"bytes": hex}, {"bytearray": hex}, {"complex": [re, im]}, {"range": [start, stop, step]}. The reader trusts nothing: text
that is not this form raises BadDataError, and its size and depth bound the work.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 200
MAX_NODES = 2_000_000  # a value takes tens of bytes here that took two in the text


class BadDataError(ValueError):
    """Text that is no tagged plain data."""


def decode_text(text: bytes) -> Any:
    """JSON text of tagged plain data as Python values. Raises BadDataError."""
    if text.count(b",") + text.count(b"[") > MAX_NODES:
        raise BadDataError(f"more than {MAX_NODES} values")
    try:
        return decode(json.loads(text, parse_constant=_refuse_constant))
    except (ValueError, RecursionError, TypeError, OverflowError) as error:
        raise BadDataError(f"not tagged plain data: {error}") from error


def decode(value: Any, depth: int = 0) -> Any:
    """Parsed JSON with tags as Python values. Raises ValueError or TypeError where it is not of this form."""
    if depth > MAX_DEPTH:
        raise BadDataError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        return [decode(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise BadDataError("an object must have one key, its tag")
    ((tag, content),) = value.items()
    if tag not in _READERS:
        raise BadDataError(f"unknown tag {tag[:40]!r}")
    return _READERS[tag](content, depth)


def carry(value: Any) -> Any:
    """Plain data in a form that marshal keeps whole: it knows no range and takes a bytearray for bytes.

    Each of them becomes a dict with the key Ellipsis, which plain data never has; the guest's `uncarry` is the inverse.
    The value itself comes back where there is nothing to change.
    """
    if isinstance(value, range):
        return {...: ("range", value.start, value.stop, value.step)}
    if isinstance(value, bytearray):
        return {...: ("bytearray", bytes(value))}
    if isinstance(value, list | tuple):
        carried = [carry(item) for item in value]
        return value if all(map(operator.is_, carried, value)) else type(value)(carried)
    if isinstance(value, dict):
        pairs = {key: carry(item) for key, item in value.items()}
        return value if all(map(operator.is_, pairs.values(), value.values())) else pairs
    return value


def same_value(expected: Any, got: Any, *, float_tolerance: float = 1e-9) -> bool:
    """Whether a program's value is the expected one; both are plain data.

    Types must agree (True is not 1), with these allowances: a whole float equals the int; floats may differ by
    `float_tolerance`, relative or absolute; nan equals nan. Where `expected` was written in JSON, which has neither tuples
    nor other keys than text, a list also stands for a tuple and a text key for the number, bool or None it spells.
    """
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return _same_number(expected, got, float_tolerance)
    if isinstance(expected, complex) and isinstance(got, int | float | complex):
        parts = ((expected.real, complex(got).real), (expected.imag, complex(got).imag))
        return all(_same_number(mine, its, float_tolerance) for mine, its in parts)
    if isinstance(expected, list | tuple):
        if type(got) is not tuple and type(got) is not type(expected):
            return False
        return len(expected) == len(got) and all(
            same_value(mine, its, float_tolerance=float_tolerance) for mine, its in zip(expected, got, strict=True)
        )
    if type(expected) is not type(got):
        return False
    if isinstance(expected, dict):
        return _same_mapping(expected, got, float_tolerance)
    if isinstance(expected, set | frozenset):
        return _same_set(expected, got)
    return bool(expected == got)


def _same_number(expected: float, got: float, tolerance: float) -> bool:
    if expected == got:
        return True
    if isinstance(expected, int) and isinstance(got, int):
        return False
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(got, float) and math.isnan(got)
    try:
        return isinstance(expected, float) and math.isclose(expected, got, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # an int too large for a float
        return False


def _same_mapping(expected: dict[Any, Any], got: dict[Any, Any], tolerance: float) -> bool:
    if len(expected) != len(got):
        return False
    by_text = {_key_as_json(key): key for key in got}
    for key, value in expected.items():
        if key in got and type(key) in {type(other) for other in got if other == key}:
            its = got[key]
        elif isinstance(key, str) and key in by_text:
            its = got[by_text[key]]
        else:
            return False
        if not same_value(value, its, float_tolerance=tolerance):
            return False
    return True


def _key_as_json(key: Any) -> Any:
    """The text json.dumps would write a key as."""
    return json.dumps(key) if key is None or isinstance(key, bool | int | float) else key


def _same_set(expected: set[Any] | frozenset[Any], got: set[Any] | frozenset[Any]) -> bool:
    return len(expected) == len(got) and {(type(item), item) for item in expected} == {(type(item), item) for item in got}


def _items(content: Any, depth: int) -> list[Any]:
    if not isinstance(content, list):
        raise BadDataError("this tag holds a list")
    return [decode(item, depth + 1) for item in content]


def _pairs(content: Any, depth: int) -> dict[Any, Any]:
    return dict(tuple(_exactly(2, _items(pair, depth))) for pair in content)


def _exactly(count: int, items: list[Any]) -> list[Any]:
    if len(items) != count:
        raise BadDataError(f"expected {count} items, got {len(items)}")
    return items


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise BadDataError("this tag holds text")
    return content


def _special_float(content: Any, depth: int) -> float:
    if content not in ("nan", "inf", "-inf", "+inf"):
        raise BadDataError("only nan and the infinities are tagged floats")
    return float(content)


def _refuse_constant(name: str) -> Any:
    raise BadDataError(f"{name} must be tagged")


_READERS: dict[str, Callable[[Any, int], Any]] = {
    "int": lambda content, depth: int(_text(content), 16),
    "float": _special_float,
    "tuple": lambda content, depth: tuple(_items(content, depth)),
    "set": lambda content, depth: set(_items(content, depth)),
    "frozenset": lambda content, depth: frozenset(_items(content, depth)),
    "dict": _pairs,
    "bytes": lambda content, depth: bytes.fromhex(_text(content)),
    "bytearray": lambda content, depth: bytearray.fromhex(_text(content)),
    "complex": lambda content, depth: complex(*_exactly(2, _items(content, depth))),
    "range": lambda content, depth: range(*_exactly(3, _items(content, depth))),
}
