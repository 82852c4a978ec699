"""Numbers worked by hand, simulated coverage, and the degenerate ends of each estimate."""

import json
import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogitate.evals import metrics
from cogitate.evals.metrics import Estimate


class Interval(NamedTuple):
    """An estimate that has an interval."""

    value: float
    low: float
    high: float


def bounded(estimate: Estimate) -> Interval:
    assert estimate.low is not None
    assert estimate.high is not None
    return Interval(estimate.value, estimate.low, estimate.high)


def test_pass_at_1_is_the_mean_over_problems_of_the_share_right() -> None:
    assert metrics.pass_at_1([[1, 1, 0, 0], [1, 1, 1, 1]]).value == pytest.approx(0.75)


def test_a_problem_with_fewer_verdicts_weighs_as_much_as_any_other_and_an_empty_one_is_skipped() -> None:
    assert metrics.pass_at_1([[1], [0, 0, 0, 0], []]).value == pytest.approx(0.5)


def test_with_one_sample_a_problem_the_interval_is_wilsons() -> None:
    # 40 of 100: with the t correction the sample size is 99 (z/t)^2 = 96.58; Wilson by hand below
    n = 99 * (1.959964 / metrics.student_t(99)) ** 2
    z2 = 1.959964**2
    centre, half = (0.4 + z2 / (2 * n)) / (1 + z2 / n), 1.959964 / (1 + z2 / n) * math.sqrt(0.24 / n + z2 / (4 * n * n))
    estimate = bounded(metrics.pass_at_1([[1]] * 40 + [[0]] * 60))
    assert (estimate.low, estimate.high) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_more_samples_of_problems_that_are_always_or_never_solved_do_not_narrow_the_interval() -> None:
    once = metrics.pass_at_1([[1]] * 30 + [[0]] * 20)
    often = metrics.pass_at_1([[1] * 16] * 30 + [[0] * 16] * 20)
    assert often == once


def test_samples_that_vary_within_problems_narrow_the_interval_up_to_their_number() -> None:
    flat = bounded(metrics.pass_at_1([[1, 0]] * 50))  # no variance between problems: 100 coin flips
    by_problem = bounded(metrics.pass_at_1([[1]] * 25 + [[0]] * 25))
    assert flat.high - flat.low < by_problem.high - by_problem.low
    assert flat.high - flat.low > 0.15


@pytest.mark.parametrize("value", [0, 1])
def test_all_right_or_all_wrong_still_has_a_width_given_by_the_number_of_problems(value: int) -> None:
    estimate = bounded(metrics.pass_at_1([[value] * 4] * 50))
    assert estimate.value == value
    assert 0.06 < estimate.high - estimate.low < 0.08  # Wilson at n = 50, x = n: 1 / (1 + 50 / 3.84) = 0.071


def test_one_problem_says_almost_nothing() -> None:
    estimate = bounded(metrics.pass_at_1([[1, 1, 1, 1]]))
    assert estimate.low == pytest.approx(1 / (1 + 1.959964**2), abs=1e-6)


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(ValueError, match="no problem"):
        metrics.pass_at_1([[], []])
    with pytest.raises(ValueError, match="from 0 to 1"):
        metrics.rate([[2.0]])


@pytest.mark.parametrize("difficulty", [(0.5, 0.5), (2.0, 2.0), (8.0, 1.0)])
def test_the_interval_covers_the_true_rate_about_95_times_in_100(difficulty: tuple[float, float]) -> None:
    generator = np.random.default_rng(0)
    truth, covered, trials = difficulty[0] / sum(difficulty), 0, 1500
    for _ in range(trials):
        chance = generator.beta(*difficulty, size=50)
        estimate = bounded(metrics.pass_at_1((generator.random((50, 4)) < chance[:, None]).astype(float).tolist()))
        covered += estimate.low <= truth <= estimate.high
    assert 0.935 < covered / trials < 0.975


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=1, max_size=20))
def test_the_interval_lies_within_0_and_1_and_holds_the_value(right: list[list[bool]]) -> None:
    estimate = bounded(metrics.pass_at_1(right))
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.high > estimate.low


def test_pass_at_k_counts_the_draws_without_a_right_one() -> None:
    assert metrics.pass_at_k(4, 1, 2) == pytest.approx(0.5)  # C(3,2)/C(4,2) = 3/6
    assert metrics.pass_at_k(5, 2, 3) == pytest.approx(0.9)  # C(3,3)/C(5,3) = 1/10
    assert metrics.pass_at_k(4, 0, 4) == 0.0
    assert metrics.pass_at_k(4, 2, 3) == 1.0
    assert metrics.pass_at_k(6, 3, 1) == pytest.approx(0.5)


def test_pass_at_k_is_unbiased_where_the_naive_form_is_not() -> None:
    generator = np.random.default_rng(1)
    chance, k, samples = 0.3, 4, 6
    drawn = generator.binomial(samples, chance, size=20_000)
    assert np.mean([metrics.pass_at_k(samples, int(c), k) for c in drawn]) == pytest.approx(1 - 0.7**4, abs=0.01)


def test_pass_at_k_refuses_fewer_samples_than_k() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        metrics.pass_at_k(4, 2, 8)
    with pytest.raises(ValueError, match="at least 3"):
        metrics.mean_pass_at_k([[1, 0, 1], [1, 1]], 3)


def test_mean_pass_at_k_averages_problems() -> None:
    assert metrics.mean_pass_at_k([[1, 0, 0, 0], [0, 0, 0, 0]], 2).value == pytest.approx(0.25)


def test_the_majority_decides() -> None:
    assert metrics.consensus(["4", "4", "5"], [True, True, False]) == 1.0
    assert metrics.consensus(["5", "4", "5"], [False, True, False]) == 0.0


def test_a_tie_is_split() -> None:
    assert metrics.consensus(["4", "5"], [True, False]) == 0.5
    assert metrics.consensus(["4", "5", "6"], [True, False, False]) == pytest.approx(1 / 3)
    assert metrics.consensus(["5", "6"], [False, False]) == 0.0


def test_right_answers_written_differently_vote_together() -> None:
    assert metrics.consensus(["1/2", "0.5", "3", "3"], [True, True, False, False]) == 0.5


def test_completions_without_an_answer_do_not_vote() -> None:
    assert metrics.consensus([None, None, "4"], [False, False, True]) == 1.0
    assert metrics.consensus([None, None], [False, False]) == 0.0


def test_a_paired_difference_is_narrower_than_an_unpaired_one_when_the_same_problems_are_hard() -> None:
    hard_first = [[0.0]] * 50 + [[1.0]] * 50
    better = [[0.0]] * 45 + [[1.0]] * 55
    paired = bounded(metrics.paired_difference(better, hard_first))
    unpaired = bounded(metrics.paired_difference(better, hard_first[::-1]))
    assert paired.value == pytest.approx(0.05)
    assert paired.low > 0
    assert unpaired.low < 0
    assert unpaired.high - unpaired.low > 3 * (paired.high - paired.low)


def test_a_paired_difference_squares_and_adds_the_limits_less_the_correlation() -> None:
    # cells: both right 14, first alone 5, second alone 0, neither 22; phi = (14 * 22 - 5 * 0) / sqrt(19 * 22 * 14 * 27)
    rows = [(1, 1)] * 14 + [(1, 0)] * 5 + [(0, 0)] * 22
    first, second = [[a] for a, _ in rows], [[b] for _, b in rows]
    phi = 308 / math.sqrt(19 * 22 * 14 * 27)
    below, above = 19 / 41 - bounded(metrics.rate(first)).low, bounded(metrics.rate(second)).high - 14 / 41
    estimate = bounded(metrics.paired_difference(first, second))
    assert estimate.value == pytest.approx(5 / 41)
    assert estimate.low == pytest.approx(5 / 41 - math.sqrt(below**2 - 2 * phi * below * above + above**2))
    assert 0 < estimate.low < estimate.value < estimate.high < 0.25


def test_two_models_that_are_always_right_differ_by_nothing_within_a_width() -> None:
    estimate = bounded(metrics.paired_difference([[1]] * 40, [[1]] * 40))
    assert estimate.value == 0
    assert estimate.low < -0.05
    assert estimate.high > 0.05


def test_pairing_needs_the_same_problems() -> None:
    with pytest.raises(ValueError, match="paired by problem"):
        metrics.paired_difference([[1]], [[1], [0]])


def test_the_paired_interval_covers_the_true_difference() -> None:
    generator = np.random.default_rng(2)
    covered, trials = 0, 1000
    for _ in range(trials):
        chance = generator.uniform(0, 0.8, size=60)
        a = (generator.random((60, 4)) < chance[:, None] + 0.2).astype(float)
        b = (generator.random((60, 4)) < chance[:, None]).astype(float)
        estimate = bounded(metrics.paired_difference(a.tolist(), b.tolist()))
        covered += estimate.low <= 0.2 <= estimate.high
    assert covered / trials > 0.93


def test_pooling_equal_seeds_changes_nothing_but_the_number_of_samples() -> None:
    rows = [[1, 1], [0, 0], [1, 0], [1, 1]] * 10
    pooled, single = bounded(metrics.pool_seeds([rows, rows, rows])), bounded(metrics.pass_at_1(rows))
    assert pooled.value == single.value
    assert pooled.high - pooled.low == pytest.approx(single.high - single.low, rel=0.02)


def test_seeds_that_disagree_widen_the_pooled_interval() -> None:
    good, bad = [[1.0]] * 90 + [[0.0]] * 10, [[1.0]] * 50 + [[0.0]] * 50
    apart, alike = bounded(metrics.pool_seeds([good, bad, good])), bounded(metrics.pool_seeds([good, good, good]))
    assert apart.high - apart.low > 2 * (alike.high - alike.low)


def test_the_pooled_interval_covers_the_rate_of_new_seeds_on_new_problems() -> None:
    generator = np.random.default_rng(3)
    covered, trials = 0, 600
    for _ in range(trials):
        problems, seeds = generator.normal(0, 0.15, size=80), generator.normal(0, 0.05, size=3)
        chance = np.clip(0.5 + problems[None, :] + seeds[:, None], 0, 1)
        right = generator.random((3, 80, 4)) < chance[:, :, None]
        estimate = bounded(metrics.pool_seeds(right.astype(float).tolist()))
        covered += estimate.low <= 0.5 <= estimate.high
    assert covered / trials > 0.92


def test_a_pooled_paired_difference_needs_every_seed_to_agree() -> None:
    base = [[[0.0]] * 60 + [[1.0]] * 40] * 3
    steady = [[[0.0]] * 40 + [[1.0]] * 60] * 3
    shaky = [[[0.0]] * 60 + [[1.0]] * 40, [[0.0]] * 40 + [[1.0]] * 60, [[0.0]] * 20 + [[1.0]] * 80]
    assert bounded(metrics.pool_paired_difference(steady, base)).low > 0.1
    estimate = bounded(metrics.pool_paired_difference(shaky, base))
    assert estimate.value == pytest.approx(0.2)
    assert estimate.low < 0


def test_the_pooled_paired_interval_covers_no_difference_and_is_not_far_too_wide() -> None:
    generator = np.random.default_rng(4)
    covered, widths, trials = 0, [], 400
    for _ in range(trials):
        problems, seeds = generator.normal(0, 0.05, size=80), generator.normal(0, 0.02, size=(2, 3))
        chances = np.clip(0.9 + problems[None, None, :] + seeds[:, :, None], 0, 1)
        one, two = (generator.random((3, 80, 2)) < chances[side][:, :, None] for side in (0, 1))
        estimate = bounded(metrics.pool_paired_difference(one.astype(float).tolist(), two.astype(float).tolist()))
        covered += estimate.low <= 0 <= estimate.high
        widths.append(estimate.high - estimate.low)
    assert covered / trials > 0.92
    # 0.0993 = 2 * 1.96 * sqrt(2 * (0.02 ** 2 + 0.09 / 160) / 3) is the width where the variance is known
    assert float(np.median(widths)) < 2 * 0.0993


def test_a_pooled_number_may_be_any_and_its_interval_is_for_a_new_seed_too() -> None:
    one_seed = [[1.1], [0.9], [1.3], [], [0.7]]
    alike = bounded(metrics.pool_numbers([one_seed] * 3))
    assert alike.value == pytest.approx(1.0)
    apart = bounded(metrics.pool_numbers([one_seed, [[2 * each for each in row] for row in one_seed]]))
    assert apart.value == pytest.approx(1.5)
    assert apart.high - apart.low > alike.high - alike.low


def test_pooled_models_that_never_differ_keep_a_width() -> None:
    estimate = bounded(metrics.pool_paired_difference([[[1.0]] * 40] * 3, [[[1.0]] * 40] * 3))
    assert estimate.low < 0 < estimate.high


def test_pooling_intervals_keeps_the_error_of_the_shared_problems_and_adds_the_seeds_spread() -> None:
    alike = bounded(metrics.pool_estimates([Estimate(0.5, 0.4, 0.6)] * 3))
    assert (alike.value, alike.low, alike.high) == pytest.approx((0.5, 0.4, 0.6))
    apart = bounded(metrics.pool_estimates([Estimate(0.4, 0.3, 0.5), Estimate(0.5, 0.4, 0.6), Estimate(0.6, 0.5, 0.7)]))
    assert apart.value == pytest.approx(0.5)
    assert apart.low < 0.35
    certain = bounded(metrics.pool_estimates([Estimate(1.0, 0.95, 1.0)] * 2))
    assert certain.high == 1.0


def test_a_number_has_students_interval_over_problems() -> None:
    # means 10 and 20, standard error 5, t(1) = 12.7062
    estimate = metrics.mean_number([[10, 10], [20, 20]])
    assert estimate.value == 15
    assert (estimate.low, estimate.high) == pytest.approx((15 - 63.531, 15 + 63.531), abs=1e-3)


def test_a_number_weighs_completions_and_its_residuals_are_by_problem() -> None:
    # sums 30 and 20 over 3 and 1 completions: mean 12.5; residuals -7.5 and 7.5; variance 2 * 112.5 / 16
    estimate = metrics.mean_number([[10, 10, 10], [20], []])
    assert estimate.value == pytest.approx(12.5)
    assert estimate.high == pytest.approx(12.5 + 12.7062 * math.sqrt(2 * 112.5 / 16), rel=1e-6)


def test_one_problem_has_no_interval_and_json_says_so() -> None:
    estimate = metrics.mean_number([[10, 20]])
    assert json.loads(json.dumps(estimate.as_json())) == {"value": 15.0, "ci95": [None, None]}


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (4, 2.776), (12, 2.1788), (20, 2.0860), (30, 2.0423)])
def test_students_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    assert metrics.student_t(freedom) == pytest.approx(quantile, abs=2e-3 if freedom < 11 else 2e-4)


@pytest.mark.parametrize(("freedom", "quantile"), [(1.5, 6.0166), (2.5, 3.5746), (7.3, 2.3450)])
def test_between_tabled_quantiles_students_is_a_little_too_large_and_falls(freedom: float, quantile: float) -> None:
    found = metrics.student_t(freedom)
    assert quantile < found < 1.2 * quantile
    assert metrics.student_t(math.floor(freedom)) > found > metrics.student_t(math.ceil(freedom))


def test_rank_correlation_of_a_growing_a_falling_and_a_flat_series() -> None:
    assert metrics.spearman([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1.0)
    assert metrics.spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert math.isnan(metrics.spearman([1, 2, 3], [5, 5, 5]))
    assert metrics.spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(0.8)  # 1 - 6*4/(5*24)


def test_tied_ranks_share_their_mean() -> None:
    # ranks 1.5 1.5 3 against 1 2 3: covariance of (-.5,-.5,1) and (-1,0,1) is 1.5, over sqrt(1.5 * 2)
    assert metrics.spearman([7, 7, 9], [1, 2, 3]) == pytest.approx(1.5 / math.sqrt(3))


def test_an_answer_without_a_verdict_has_no_vote_in_the_consensus() -> None:
    assert metrics.consensus(["5", "5", "4"], [None, None, True]) == 1.0
    assert metrics.consensus(["5", "5", "4"], [None, None, False]) == 0.0
    assert metrics.consensus(["4", "5"], [None, None]) == 0.0
