"""Loss as a power law in parameters and tokens: L(N, D) = E + A N^-alpha + B D^-beta (Hoffmann et al., arXiv:2203.15556,
section 3.3).

For given exponents the rest is linear, so that E, A and B are found by least squares of relative errors with none of them
below 0, and the exponents on a grid that is drawn closer around the best place several times. There is no start to choose and
nothing is random. The paper minimises Huber's loss of the logarithm instead.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogitate.evals.metrics import Array, Estimate, student_t

LEAST = 6  # points: one more than the law has numbers
EXPONENTS = (0.02, 2.0)  # lowest and highest that is tried
COARSE, FINE, ZOOMS = 16, 7, 6  # places of the first grid and of the later ones on each axis, and how many of these there are
SUBSETS = [columns for size in (3, 2, 1) for columns in itertools.combinations(range(3), size)]


@dataclass(frozen=True, slots=True)
class LossPoint:
    """One trained model: parameters, training tokens, held-out loss."""

    parameters: float
    tokens: float
    loss: float


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """The fitted law; `floor`, `of_parameters` and `of_tokens` are E, A and B."""

    floor: float
    of_parameters: float
    of_tokens: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        return (
            self.floor + self.of_parameters * math.pow(parameters, -self.alpha) + self.of_tokens * math.pow(tokens, -self.beta)
        )


def fit_power_law(points: Sequence[LossPoint]) -> PowerLaw:
    """The law of the least mean square of relative errors.

    Raises:
        ValueError: fewer than LEAST points, or all of one size or one length: the exponents cannot be told.
    """
    if len(points) < LEAST:
        raise ValueError(f"a power law needs at least {LEAST} points, got {len(points)}")
    if len({point.parameters for point in points}) < 2 or len({point.tokens for point in points}) < 2:
        raise ValueError("a power law needs at least two sizes and two lengths of training")
    sizes, tokens, losses = (
        np.array(column) for column in zip(*((p.parameters, p.tokens, p.loss) for p in points), strict=True)
    )
    middle = (float(np.exp(np.log(sizes).mean())), float(np.exp(np.log(tokens).mean())))  # so that columns are near 1
    low, high = map(math.log, EXPONENTS)
    grids = [np.linspace(low, high, COARSE)] * 2
    best: tuple[float, float, float, Array] = (math.inf, 0.0, 0.0, np.zeros(3))
    for zoom in range(ZOOMS + 1):
        for a, b in itertools.product(*grids):
            alpha, beta = math.exp(a), math.exp(b)
            columns = [np.ones_like(losses), (sizes / middle[0]) ** -alpha, (tokens / middle[1]) ** -beta]
            error, found = nonnegative_fit(np.stack(columns, 1), losses)
            if error < best[0]:
                best = (error, a, b, found)
        width = (high - low) / (COARSE - 1) * (2 / (FINE - 1)) ** zoom
        grids = [np.clip(np.linspace(at - width, at + width, FINE), low, high) for at in best[1:3]]
    alpha, beta = math.exp(best[1]), math.exp(best[2])
    floor, a, b = (float(value) for value in best[3])
    return PowerLaw(floor, a * middle[0] ** alpha, b * middle[1] ** beta, alpha, beta)


def nonnegative_fit(columns: Array, losses: Array) -> tuple[float, Array]:
    """Mean square of the relative errors, and the coefficients, none below 0, that make it least."""
    weighted = columns / losses[:, None]
    best: tuple[float, Array] = (math.inf, np.zeros(columns.shape[1]))
    for chosen in SUBSETS:
        found, *_ = np.linalg.lstsq(weighted[:, chosen], np.ones(len(losses)), rcond=None)
        if (found < 0).any():
            continue
        error = float(((weighted[:, chosen] @ found - 1) ** 2).mean())
        if error < best[0]:
            coefficients = np.zeros(columns.shape[1])
            coefficients[list(chosen)] = found
            best = (error, coefficients)
        if len(chosen) == columns.shape[1]:  # fewer columns cannot do better
            break
    return best


def exponent_intervals(points: Sequence[LossPoint]) -> tuple[Estimate, Estimate]:
    """alpha and beta with 95 % intervals by the jackknife: the fit is repeated without each point in turn. They say how much
    hangs on single points, and nothing of other seeds. Without an interval where a fit of one point fewer cannot be made."""
    law = fit_power_law(points)
    try:
        left_out = [fit_power_law([*points[:place], *points[place + 1 :]]) for place in range(len(points))]
    except ValueError:
        return Estimate(law.alpha, None, None), Estimate(law.beta, None, None)

    def interval(value: float, others: Sequence[float]) -> Estimate:
        count = len(others)
        mean = sum(others) / count
        half = student_t(count - 1) * math.sqrt((count - 1) / count * sum((other - mean) ** 2 for other in others))
        return Estimate(value, value - half, value + half)

    return interval(law.alpha, [other.alpha for other in left_out]), interval(law.beta, [other.beta for other in left_out])


def relative_errors(law: PowerLaw, points: Sequence[LossPoint]) -> list[float]:
    """Of each point (predicted - measured) / measured."""
    return [law.loss(point.parameters, point.tokens) / point.loss - 1 for point in points]
