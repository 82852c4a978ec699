"""Power laws: points made by a known law give it back, and what cannot be told is refused."""

from __future__ import annotations

import numpy as np
import pytest

from cogitate.evals.power_law import (
    LossPoint,
    PowerLaw,
    exponent_intervals,
    fit_power_law,
    nonnegative_fit,
    relative_errors,
)

LAW = PowerLaw(1.5, 20.0, 40.0, 0.3, 0.25)
SIZES, TOKENS = (1e5, 3e5, 1e6, 3e6), (8e5, 1.6e6, 3.2e6)
POINTS = [LossPoint(n, d, LAW.loss(n, d)) for n in SIZES for d in TOKENS]


def test_the_law_that_made_the_points_is_found_and_predicts_a_larger_model() -> None:
    found = fit_power_law(POINTS)
    assert (found.alpha, found.beta) == pytest.approx((0.3, 0.25), rel=0.05)
    assert found.floor == pytest.approx(1.5, rel=0.05)
    larger = [LossPoint(6e6, 6.4e6, LAW.loss(6e6, 6.4e6))]
    assert abs(relative_errors(found, larger)[0]) < 0.005


def test_a_loss_worked_by_hand() -> None:
    assert PowerLaw(1.0, 8.0, 4.0, 0.5, 1.0).loss(16.0, 2.0) == pytest.approx(1 + 8 / 4 + 4 / 2)


def test_no_coefficient_is_below_zero() -> None:
    columns = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 3.0, 1.0]])
    error, found = nonnegative_fit(columns, np.array([3.0, 2.0, 1.0]))  # a line that falls: best without the second column
    assert found[1] == 0.0
    assert error == pytest.approx(float(((found[[0, 2]].sum() / np.array([3.0, 2.0, 1.0]) - 1) ** 2).mean()))


def test_the_interval_of_exact_points_is_narrow() -> None:
    alpha, beta = exponent_intervals(POINTS)
    for estimate, true in ((alpha, 0.3), (beta, 0.25)):
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low - 0.02 < true < estimate.high + 0.02
        assert estimate.high - estimate.low < 0.1


def test_too_few_points_or_one_size_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 6 points, got 5"):
        fit_power_law(POINTS[:5])
    with pytest.raises(ValueError, match="two sizes and two lengths"):
        fit_power_law([LossPoint(1e5, float(d), 2.0) for d in range(1, 8)])
