"""Fit factors to published figures: least squares of logarithms, with priors, and outliers held at arm's length."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cogitate.costs.factors import NAMES, PRIORS, Z_OF_INTERVAL, Factors, Prior, gradient, prior_factors

# Deviation of the logarithm that a good formula leaves.
USUAL_ERROR = {"memory": 0.06, "step": 0.2, "rl": 0.2, "stage": 0.1}
ROBUST = 1.5  # deviations beyond which an observation pulls no harder (Huber)
ROUNDS = 25
PSEUDO_ROWS = 3.0  # rows that the usual error counts for beside a group's residuals, so that two lucky rows make no certainty


@dataclass(frozen=True, slots=True)
class Observation:
    """A published figure and the formula for it. `group` is a key of USUAL_ERROR."""

    id: str
    group: str
    figure: Callable[[Factors], float]
    published: float


def fit_factors(observations: Sequence[Observation], priors: Mapping[str, Prior] = PRIORS) -> Factors:
    """Factors after these observations, from the priors."""
    factors = prior_factors(priors)
    centre = np.array([math.log(priors[name].guess) for name in NAMES])
    precision = np.diag([priors[name].deviation ** -2 for name in NAMES])
    at = centre.copy()
    for _ in range(ROUNDS):
        slopes, gaps, weights = _linearise(observations, factors)
        normal = slopes.T @ (weights[:, None] * slopes) + precision
        step = np.linalg.solve(normal, slopes.T @ (weights * gaps) - precision @ (at - centre))
        at = at + np.clip(step, -0.5, 0.5)
        factors = Factors({name: math.exp(value) for name, value in zip(NAMES, at, strict=True)})
        if np.abs(step).max(initial=0.0) < 1e-5:
            break
    slopes, gaps, weights = _linearise(observations, factors)
    covariance = np.linalg.inv(slopes.T @ (weights[:, None] * slopes) + precision)
    return Factors(
        {name: float(f"{factors[name]:.6g}") for name in NAMES},
        tuple(tuple(float(f"{cell:.4g}") for cell in row) for row in covariance),
        _residuals(observations, slopes, gaps, weights, covariance),
        tuple(sorted({each.id for each in observations})),
    )


def _linearise(observations: Sequence[Observation], factors: Factors) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes (rows x factors), gaps of logarithms, and weights of the rows."""
    slopes, gaps, weights = [], [], []
    for each in observations:
        value = each.figure(factors)
        gap, usual = math.log(each.published / value), USUAL_ERROR[each.group]
        slopes.append(gradient(each.figure, factors, value))
        gaps.append(gap)
        weights.append(min(1.0, ROBUST * usual / max(abs(gap), 1e-12)) / usual**2)
    return np.array(slopes), np.array(gaps), np.array(weights)


def _residuals(
    observations: Sequence[Observation], slopes: np.ndarray, gaps: np.ndarray, weights: np.ndarray, covariance: np.ndarray
) -> dict[str, float]:
    """By group: the deviation that puts eight of ten rows, each as if left out of the fit, into the interval."""
    leverage = np.einsum("ij,jk,ik->i", slopes, covariance, slopes) * weights
    left_out = np.abs(gaps) / np.maximum(1.0 - leverage, 0.25)
    found = {}
    for group, usual in USUAL_ERROR.items():
        own = np.array([left_out[i] for i, each in enumerate(observations) if each.group == group])
        if group == "stage" and not len(own):  # nothing is published of whole stages
            continue
        spread = float(np.quantile(own, 0.8)) / Z_OF_INTERVAL if len(own) else usual
        mixed = (len(own) * spread**2 + PSEUDO_ROWS * usual**2) / (len(own) + PSEUDO_ROWS)
        found[group] = float(f"{math.sqrt(mixed):.4g}")
    return found
