"""Files of the planner's factors: the shipped one, and those that --fit and --calibrate write."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cogitate.costs.factors import NAMES, Factors
from cogitate.errors import DataError
from cogitate.runtime import write_json

SHIPPED = Path(__file__).with_name("factors.json")


def write_factors(factors: Factors, path: Path, source: str, extra: Mapping[str, Any] | None = None) -> None:
    """Factors as JSON, with further keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"source": source, **(extra or {}), **factors_json(factors)})


def factors_json(factors: Factors) -> dict[str, Any]:
    return {
        "values": dict(factors.values),
        "residuals": dict(factors.residuals),
        "fitted_on": list(factors.fitted_on),
        "names": list(NAMES),
        "covariance": [list(row) for row in factors.covariance],
    }


def read_factors(path: Path = SHIPPED, dtype: str = "") -> Factors:
    """Factors of a file; those for work in a type where the file has some of its own.

    Raises:
        DataError: it is none, or of another version of the planner.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        content = content.get("types", {}).get(dtype, content)
        if content["names"] != list(NAMES):
            raise DataError(f"{path}: has factors of another version of the planner: fit or calibrate again")
        factors = Factors(
            {name: float(content["values"][name]) for name in NAMES},
            tuple(tuple(float(cell) for cell in row) for row in content["covariance"]),
            {name: float(value) for name, value in content["residuals"].items()},
            tuple(content["fitted_on"]),
        )
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is no file of the planner's factors: {error}") from error
    check_factors(factors, path)
    return factors


def check_factors(factors: Factors, path: Path) -> None:
    """Refuse numbers that no fit makes.

    Raises:
        DataError: names the first of them.
    """
    for name, value in factors.values.items():
        if not 0 < value < math.inf:
            raise DataError(f"{path}: values.{name} = {value}: a factor is above 0")
    for group, spread in factors.residuals.items():
        if not 0 <= spread < math.inf:
            raise DataError(f"{path}: residuals.{group} = {spread}: a deviation is 0 or more")
    size = len(NAMES)
    rows = factors.covariance
    if rows and (len(rows) != size or any(len(row) != size or not all(map(math.isfinite, row)) for row in rows)):
        raise DataError(f"{path}: covariance: needs {size} rows of {size} numbers, one for each of names")
