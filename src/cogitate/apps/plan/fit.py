"""`cogitate plan --fit ROWS`: factors from the rows whose hash is even, kept as data in the package (factors.json)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from cogitate.apps.plan.rows import Row
from cogitate.costs.factors import NAMES, Factors
from cogitate.costs.fitting import Observation, fit_factors
from cogitate.errors import DataError
from cogitate.runtime import write_json

SHIPPED = Path(__file__).with_name("factors.json")
GROUP = {("training step", "memory"): "memory", ("training step", "step_time"): "step", ("RL step", "step_time"): "rl"}


def group_of(row: Row, figure: str) -> str:
    """Whose residuals a figure's interval takes."""
    return GROUP.get((row.what, figure), "memory" if figure == "memory" else "rl")


def fit_on(rows: Sequence[Row]) -> Factors:
    """Factors from those of the rows that may be fitted on.

    Raises:
        DataError: there is none.
    """
    observations = [
        Observation(row.id, GROUP[row.what, figure], row.figures[figure], value)
        for row in rows
        if row.is_fitted
        for figure, value in row.published.items()
        if (row.what, figure) in GROUP
    ]
    if not observations:
        raise DataError("no row to fit on: only training steps and steps of RL whose sha256 of `id` is even are taken")
    return fit_factors(observations)


def write_factors(factors: Factors, path: Path, source: str) -> None:
    """Factors as JSON."""
    write_json(
        path,
        {
            "source": source,
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
    return _read(path)


@lru_cache(maxsize=4)
def _read(path: Path) -> Factors:
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
