"""A user's own parts of the reward: `rewards.parts.NAME.file = "FILE.py:FUNCTION"`, called in confined worker processes.

A function gets one SampledCompletion and returns any finite number. What it raises, or another value, is a fault of ours: the
completion then has no verdict and is left out of its group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from cogitate.rewards.parts.completion import SampledCompletion
from cogitate.rewards.user_function import load_function
from cogitate.rewards.verdicts import clip

PartFunction = Callable[[SampledCompletion], float]


def load_parts(locations: Mapping[str, str]) -> dict[str, PartFunction]:
    """The functions of parts by name, from "FILE.py:FUNCTION". Raises what load_function does."""
    return {name: load_function(f"rewards.parts.{name}.file", location) for name, location in locations.items()}


def evaluate_parts(functions: Mapping[str, PartFunction], completion: SampledCompletion) -> dict[str, Any]:
    """JSON-ready: {"parts": name -> value}, or {"fault": why there is no value}."""
    values: dict[str, float] = {}
    for name, function in functions.items():
        try:
            value = function(completion)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's function may raise anything
            return {"fault": f"rewards.parts.{name} raised {type(error).__name__}: {clip(str(error))}"}
        number = as_number(value)
        if number is None:
            return {"fault": f"rewards.parts.{name} returned {describe(value)}, not a finite number"}
        values[name] = number
    return {"parts": values}


def as_number(value: Any) -> float | None:
    """A finite float, None for anything else."""
    if not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def describe(value: Any) -> str:
    """A value for a reason; what the user's class does when it is shown is its own fault."""
    try:
        return clip(repr(value))
    except Exception as error:  # noqa: BLE001 - the user's class may raise anything
        return f"a {type(value).__name__} that raised {type(error).__name__}"
