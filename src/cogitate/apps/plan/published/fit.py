"""`cogitate plan --fit ROWS`: factors from the rows whose hash is even."""

from __future__ import annotations

from collections.abc import Sequence

from cogitate.apps.plan.published.row import Row
from cogitate.costs.factors import Factors
from cogitate.costs.fitting import Observation, fit_factors
from cogitate.errors import DataError

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
