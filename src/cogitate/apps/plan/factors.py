"""Files of the planner's factors: the shipped one, and those that --fit and --calibrate write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cogitate.costs.factors import NAMES, Factors
from cogitate.errors import DataError
from cogitate.runtime import write_json

SHIPPED = Path(__file__).with_name("factors.json")


def write_factors(factors: Factors, path: Path, source: str, extra: Mapping[str, Any] | None = None) -> None:
    """Factors as JSON, with further keys."""
    write_json(
        path,
        {
            "source": source,
            **(extra or {}),
            "values": dict(factors.values),
            "residuals": dict(factors.residuals),
            "fitted_on": list(factors.fitted_on),
            "names": list(NAMES),
            "covariance": [list(row) for row in factors.covariance],
        },
    )


def read_factors(path: Path = SHIPPED) -> Factors:
    """Factors of a file.

    Raises:
        DataError: it is none, or of another version of the planner.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["names"] != list(NAMES):
            raise DataError(f"{path}: has factors of another version of the planner: fit or calibrate again")
        return Factors(
            {name: float(content["values"][name]) for name in NAMES},
            tuple(tuple(float(cell) for cell in row) for row in content["covariance"]),
            {name: float(value) for name, value in content["residuals"].items()},
            tuple(content["fitted_on"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is no file of the planner's factors: {error}") from error
