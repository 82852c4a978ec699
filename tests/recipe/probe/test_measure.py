"""Live groups expected from few completions, and the figures of a prompt."""

import math

import pytest

from cogitate.recipe.probe.measure import Measurement, Sample, all_of, figures, live_share


def test_a_uniform_chance_is_all_right_in_one_group_of_g_plus_one() -> None:
    assert all_of(1.0, 2.0, 16) == pytest.approx(1 / 17)  # E[p^16] of a uniform p


def test_problems_that_are_alike_have_groups_like_coins() -> None:
    counts = [(1, 4)] * 40  # each a quarter right: the chance hardly differs between problems
    assert live_share(counts, 8) == pytest.approx(1 - 0.75**8 - 0.25**8, abs=0.01)


def test_problems_that_are_solved_always_or_never_have_dead_groups() -> None:
    mixed, settled = [(2, 4)] * 20, [(0, 4)] * 10 + [(4, 4)] * 10
    assert live_share(settled, 16) < 0.2 < 0.9 < live_share(mixed, 16)
    assert live_share([(0, 4)] * 20, 16) == live_share([(4, 4)] * 20, 16) == live_share([], 16) == 0


def test_larger_groups_are_alive_more_often() -> None:
    rare = [(0, 4)] * 30 + [(1, 4)] * 8 + [(2, 4)] * 2
    shares = [live_share(rare, size) for size in (4, 16, 32)]
    assert shares == sorted(shares)
    assert 0.15 < shares[0] < shares[2] < 0.95


def sample(problem: int, right: bool | None, tokens: int = 10, finished: bool = True) -> Sample:
    return Sample(problem, "", tokens, finished, right is True, right, right, None, "")


def test_lengths_are_those_of_completions_that_are_right_or_in_the_form() -> None:
    good = [sample(number, True, 20 + number) for number in range(5)]
    assert figures([*good, sample(9, False, 100)], 16).long_tokens == 24
    assert figures([*good[:4], sample(9, False, 100)], 16).long_tokens == 100


def test_figures_leave_out_completions_without_a_verdict() -> None:
    row = (sample(0, True), sample(0, False, 30), sample(1, None, 50, finished=False), sample(1, False))
    found = figures(row, 16)
    assert (found.right, found.right_free, found.form) == (1 / 3, 1 / 3, 1 / 4)
    assert (found.tokens, found.long_tokens, found.truncated) == (25, 30, 1 / 4)
    measurement = Measurement("plain", row, 50, 2.0)
    assert measurement.tokens_per_second == 55  # 100 tokens sampled, 50 read at a fifth of the time
    assert math.isfinite(found.live)
