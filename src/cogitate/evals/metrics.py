"""What a set of graded completions says, and how sure it is: pass@1, pass@k, cons@k, differences, pooled seeds.

The unit is the problem. Completions of one problem resemble each other, so every interval is clustered by problem: its
variance is that of the problems' means (the cluster-robust variance; Miller, "Adding Error Bars to Evals",
arXiv:2411.00640, section 2.2), never that of the completions taken as if independent.

Rates lie between 0 and 1, often at an end, so their 95 % interval is Wilson's with the effective sample size that this
variance stands for, n_eff = p(1-p)/variance (Korn and Graubard 1998; Franco et al. 2019, "Comparative study of confidence
intervals for proportions in complex sample surveys"). It never leaves [0, 1] and keeps a width where all completions are
right. Differences combine two such intervals with the correlation between the models (Newcombe 1998, Stat. Med. 17).
Numbers without bounds, such as lengths, have Student's t interval.

Every function takes one row per problem, each row the values of that problem's completions; rows may differ in length
(completions without a verdict are left out) and empty rows are skipped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054  # standard normal, 97.5 %
T95 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)  # Student's t, 97.5 %, df 1 to 10

Rows = Sequence[Sequence[float]]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval; `low` and `high` are None where one problem alone says nothing about others."""

    value: float
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, Any]:
        """The form of results.json: {"value": x, "ci95": [low, high]}."""
        return {"value": self.value, "ci95": [self.low, self.high]}


def pass_at_1(right: Rows) -> Estimate:
    """Accuracy of one completion: the mean over problems of the share of right completions (R1, section 3).

    Raises:
        ValueError: no problem has a completion, or a value is outside [0, 1].
    """
    return rate(right)


def rate(values: Rows) -> Estimate:
    """Mean over problems of the mean of values in [0, 1] (yes/no or a share), with a clustered Wilson interval."""
    means, samples = _problem_means(values), sum(len(row) for row in values)
    return _wilson(float(means.mean()), _variance_of_mean(means), len(means), samples, len(means) - 1)


def share_of_completions(values: Rows) -> Estimate:
    """Mean over completions, not problems, of values in [0, 1], with a clustered Wilson interval; a ratio, as `mean_number`."""
    rows = [row for row in values if len(row) > 0]
    _problem_means(rows)
    value, variance = _ratio(rows)
    return _wilson(value, variance, len(rows), sum(map(len, rows)), len(rows) - 1)


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Chance that at least one of k completions is right, unbiased: 1 - C(n-c, k) / C(n, k) (arXiv:2107.03374, section 2.1).

    Raises:
        ValueError: fewer than k samples; the estimate would be biased.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs at least {k} completions of a problem, got {samples}")
    if not 0 <= right <= samples:
        raise ValueError(f"right = {right} of {samples} completions")
    return 1.0 - math.comb(samples - right, k) / math.comb(samples, k)


def mean_pass_at_k(right: Rows, k: int) -> Estimate:
    """pass@k over problems; each row needs at least k completions."""
    return rate([[pass_at_k(len(row), round(sum(row)), k)] for row in right if len(row) > 0])


def consensus(answers: Sequence[Hashable | None], right: Sequence[bool | None]) -> float:
    """cons@k of one problem: is the answer most completions gave right? Ties are split: two leaders, one right, is 0.5.

    All completions judged right count as one answer, since the grader found each equal to the gold ("1/2" and "0.5");
    wrong ones vote by equal `answers`, so normalise them first. None (no answer found) does not vote, nor does a completion
    without a verdict (right is None): nobody knows whether its answer is one of the right ones. Of use for short answers
    only: no two programs are written alike, so code has no consensus.
    """
    if len(answers) != len(right) or not answers:
        raise ValueError(f"{len(answers)} answers and {len(right)} verdicts of one problem")
    votes: Counter[tuple[bool, Hashable]] = Counter()
    for answer, is_right in zip(answers, right, strict=True):
        if is_right or (is_right is not None and answer is not None):
            votes[(is_right, None if is_right else answer)] += 1
    most = max(votes.values(), default=0)
    leaders = [is_right for (is_right, _), count in votes.items() if count == most]
    return sum(leaders) / len(leaders) if leaders else 0.0


def paired_difference(first: Rows, second: Rows) -> Estimate:
    """Difference of two rates, first - second, on the same problems in the same order.

    The distances of the two Wilson limits are squared and added, less twice their product times the correlation of the
    models over problems (Newcombe), so problems hard for both do not widen the interval. Where no problem tells the models
    apart, the half width is the share of such problems that none seen in n still allows. A problem that either model has
    no value for is left out.
    """
    if len(first) != len(second):
        raise ValueError(f"paired by problem, but one has {len(first)} problems and the other {len(second)}")
    kept = [(a, b) for a, b in zip(first, second, strict=True) if len(a) > 0 and len(b) > 0]
    a_rows, b_rows = [a for a, _ in kept], [b for _, b in kept]
    a_means, b_means = _problem_means(a_rows), _problem_means(b_rows)
    if _variance_of_mean(a_means - b_means) == 0:
        return _around(float((a_means - b_means).mean()), Z95**2 / (len(kept) + Z95**2))
    return _difference(rate(a_rows), rate(b_rows), _correlation(a_means, b_means))


def pool_seeds(by_seed: Sequence[Rows]) -> Estimate:
    """A rate over several training seeds that were measured on the same problems in the same order.

    The interval is for a new seed on new problems: variances of problems and of seeds add up (two-way clustering; Cameron,
    Gelbach and Miller 2011), with Satterthwaite's degrees of freedom, since three seeds say little about seeds.
    """
    matrix, samples = _seed_matrix(by_seed), sum(len(row) for rows in by_seed for row in rows)
    variance, freedom = _crossed_variance(matrix)
    return _wilson(float(matrix.mean()), variance, matrix.shape[1], samples, freedom)


def pool_paired_difference(first_by_seed: Sequence[Rows], second_by_seed: Sequence[Rows]) -> Estimate:
    """first - second over several seeds, paired by seed and by problem; Student's t with two-way clustering.

    Where every pair differs by the same amount, the interval is that of `paired_difference`.
    """
    a, b = _seed_matrix(first_by_seed), _seed_matrix(second_by_seed)
    if a.shape != b.shape:
        raise ValueError(f"paired by seed and problem, but shapes are {a.shape} and {b.shape}")
    difference = a - b
    variance, freedom = _crossed_variance(difference)
    if variance <= 0:
        return paired_difference([list(row) for row in a.T], [list(row) for row in b.T])
    return _around(float(difference.mean()), student_t(freedom) * math.sqrt(variance))


def pool_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Several seeds' values where only their intervals are known (results.json): for a table of merged runs.

    The seeds share their problems, so averaging does not shrink the error that the choice of problems makes: each side
    keeps the mean squared distance of the seeds' own limits, and the spread between seeds is added to it.
    """
    if not estimates:
        raise ValueError("nothing to pool")
    values = np.array([estimate.value for estimate in estimates])
    value, seeds = float(values.mean()), len(estimates)
    if any(estimate.low is None or estimate.high is None for estimate in estimates):
        return Estimate(value, None, None)
    spread = _variance_of_mean(values)
    below = float(np.mean([(e.value - e.low) ** 2 for e in estimates if e.low is not None]))
    above = float(np.mean([(e.high - e.value) ** 2 for e in estimates if e.high is not None]))
    sides = []
    for squared in (below, above):
        within = squared / Z95**2
        freedom = (within + spread) ** 2 / (spread**2 / (seeds - 1)) if spread > 0 else math.inf
        sides.append(math.sqrt(squared + student_t(freedom) ** 2 * spread))
    bounded = all(0 <= limit <= 1 for e in estimates for limit in (e.value, e.low, e.high) if limit is not None)
    low, high = value - sides[0], value + sides[1]
    return Estimate(value, max(0.0, low) if bounded else low, min(1.0, high) if bounded else high)


def mean_number(values: Rows) -> Estimate:
    """Mean over completions of a number such as thinking tokens, with Student's t interval clustered by problem.

    The mean weighs completions, not problems: rows may have lost completions (only finished ones have a length), so it is
    a ratio of sums, linearised (Cochran, Sampling Techniques, section 6.4).
    """
    rows = [row for row in values if len(row) > 0]
    if not rows:
        raise ValueError("no values: no problem has a completion that counts")
    value, variance = _ratio(rows)
    if len(rows) == 1:
        return Estimate(value, None, None)
    half = student_t(len(rows) - 1) * math.sqrt(variance)
    return Estimate(value, value - half, value + half)


def pool_numbers(by_seed: Sequence[Rows]) -> Estimate:
    """The mean over problems of a number over several seeds, by Student's t with the two-way clustering of `pool_seeds`.

    Problems that any seed has no value for are left out.
    """
    matrix = _seed_matrix(by_seed, of=_means)
    variance, freedom = _crossed_variance(matrix)
    value, half = float(matrix.mean()), student_t(freedom) * math.sqrt(max(0.0, variance))
    return Estimate(value, value - half, value + half)


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN where either side is constant or has fewer than two values."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values against {len(second)}")
    a, b = _ranks(np.asarray(first, dtype=np.float64)), _ranks(np.asarray(second, dtype=np.float64))
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return math.nan
    return _correlation(a, b)


def student_t(freedom: float) -> float:
    """The 97.5 % quantile of Student's t: tabled to 10 degrees of freedom, above by Cornish-Fisher (error under 1e-4).

    Between two tabled ones it is linear in 1 / freedom, which is never too small.
    """
    if freedom < 1:
        return math.inf if freedom <= 0 else T95[0]
    if freedom < len(T95):
        lower = int(freedom)
        share = (1 / lower - 1 / freedom) / (1 / lower - 1 / (lower + 1))
        return T95[lower - 1] + share * (T95[lower] - T95[lower - 1])
    z = Z95
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _means(values: Rows) -> Array:
    means = np.array([math.fsum(row) / len(row) for row in values if len(row) > 0], dtype=np.float64)
    if len(means) == 0:
        raise ValueError("no problem has a completion with a verdict")
    return means


def _problem_means(values: Rows) -> Array:
    means = _means(values)
    if means.min() < 0 or means.max() > 1:
        raise ValueError(f"a rate takes values from 0 to 1, got means from {means.min()} to {means.max()}")
    return means


def _ratio(rows: Rows) -> tuple[float, float]:
    """The mean over all completions, and its variance clustered by problem; 0.0 of one problem."""
    counts = np.array([len(row) for row in rows], dtype=np.float64)
    sums = np.array([math.fsum(row) for row in rows], dtype=np.float64)
    value, problems = float(sums.sum() / counts.sum()), len(rows)
    residuals = sums - value * counts
    scale = problems / (problems - 1) if problems > 1 else 0.0
    return value, scale * float((residuals**2).sum()) / float(counts.sum()) ** 2


def _variance_of_mean(values: Array) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0


def _wilson(value: float, variance: float, problems: int, samples: int, freedom: float) -> Estimate:
    """Wilson's interval at the sample size which a binomial of this variance would have, scaled by (z/t)^2 for few clusters."""
    binomial = value * (1 - value)
    if binomial <= 0 or problems == 1:
        effective = float(problems)
    else:
        effective = float(samples) if variance <= 0 else min(binomial / variance, float(samples))
    if 1 <= freedom < math.inf:
        effective *= (Z95 / student_t(freedom)) ** 2
    square = Z95**2 / effective
    centre = (value + square / 2) / (1 + square)
    half = Z95 / (1 + square) * math.sqrt(binomial / effective + square / (4 * effective))
    return Estimate(value, min(value, max(0.0, centre - half)), max(value, min(1.0, centre + half)))


def _correlation(a: Array, b: Array) -> float:
    spread = float(a.std()) * float(b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean()) / spread if spread > 0 else 0.0


def _difference(a: Estimate, b: Estimate, correlation: float) -> Estimate:
    assert a.low is not None
    assert a.high is not None
    assert b.low is not None
    assert b.high is not None

    def combine(first: float, second: float) -> float:
        return math.sqrt(max(0.0, first**2 - 2 * correlation * first * second + second**2))

    value = a.value - b.value
    low = value - combine(a.value - a.low, b.high - b.value)
    high = value + combine(a.high - a.value, b.value - b.low)
    return Estimate(value, max(-1.0, low), min(1.0, high))


def _around(value: float, half: float) -> Estimate:
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half))


def _seed_matrix(by_seed: Sequence[Rows], of: Callable[[Rows], Array] = _problem_means) -> Array:
    """(seeds, problems) of problem means; problems that any seed has no value for are left out."""
    if not by_seed or len({len(rows) for rows in by_seed}) != 1:
        raise ValueError(f"seeds must share their problems, got {[len(rows) for rows in by_seed]} problems")
    kept = [column for column in range(len(by_seed[0])) if all(len(rows[column]) > 0 for rows in by_seed)]
    return np.stack([of([rows[column] for column in kept]) for rows in by_seed])


def _crossed_variance(matrix: Array) -> tuple[float, float]:
    """Variance of the grand mean of a (seeds, problems) matrix, rows and columns both drawn, and its degrees of freedom."""
    seeds, problems = matrix.shape
    of_problems, of_seeds = _variance_of_mean(matrix.mean(axis=0)), _variance_of_mean(matrix.mean(axis=1))
    if seeds == 1 or problems == 1:
        return of_problems + of_seeds, max(seeds, problems) - 1
    residual = matrix - matrix.mean(axis=0) - matrix.mean(axis=1, keepdims=True) + matrix.mean()
    of_both = float((residual**2).sum()) / ((seeds - 1) * (problems - 1)) / (seeds * problems)  # a part of either
    variance = of_both + max(0.0, of_problems - of_both) + max(0.0, of_seeds - of_both)
    parts = of_problems**2 / (problems - 1) + of_seeds**2 / (seeds - 1)
    return variance, max(1.0, variance**2 / parts) if parts > 0 else math.inf


def _ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: Array = last - (counts - 1) / 2.0
    return mean_rank[inverse]
