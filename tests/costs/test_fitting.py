"""Fitting finds what made the observations, keeps priors where there are none, and is not carried away by one row."""

import math
from collections.abc import Callable

import pytest

from cogitate.costs.factors import PRIORS, Factors, estimate, prior_factors
from cogitate.costs.fitting import Observation, fit_factors


def figure(scale: float) -> Callable[[Factors], float]:
    return lambda factors: scale * factors["logit_bytes"] + factors["fixed_gib"]


def made_by(logit_bytes: float, count: int = 12) -> list[Observation]:
    truth = prior_factors().with_values(logit_bytes=logit_bytes)
    return [Observation(str(i), "memory", figure(1.0 + i), figure(1.0 + i)(truth)) for i in range(count)]


def test_a_fit_finds_the_factor_and_leaves_the_others() -> None:
    fitted = fit_factors(made_by(22.0))
    assert fitted["logit_bytes"] == pytest.approx(22.0, rel=0.03)
    assert fitted["flash3"] == PRIORS["flash3"].guess
    assert fitted.fitted_on == tuple(sorted(str(i) for i in range(12)))


def test_one_row_that_is_far_off_moves_little() -> None:
    rows = made_by(22.0)
    rows[3] = Observation("3", "memory", rows[3].figure, 3 * rows[3].published)
    assert fit_factors(rows)["logit_bytes"] == pytest.approx(22.0, rel=0.06)


def test_intervals_are_narrower_after_a_fit_and_hold_the_truth() -> None:
    before, after = (estimate(figure(5.0), factors, "memory") for factors in (prior_factors(), fit_factors(made_by(18.0))))
    assert after.half_width < before.half_width
    assert after.low < figure(5.0)(prior_factors().with_values(logit_bytes=18.0)) < after.high


def test_a_guess_outside_the_factors_widens_an_interval() -> None:
    narrow = estimate(figure(1.0), prior_factors(), "memory")
    wide = estimate(figure(1.0), prior_factors(), "memory", further=0.5)
    assert math.log(wide.high / wide.value) > math.log(narrow.high / narrow.value)
