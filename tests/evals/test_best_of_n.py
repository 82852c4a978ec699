"""Best-of-n from one pool, against numbers worked by hand and against all subsets."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from cogitate.evals.best_of_n import best_of_n, best_of_n_kl, powers_of_two


def test_the_best_of_two_of_three_is_the_mean_over_the_three_pairs() -> None:
    # pairs by score: (1, 2) -> 0.5, (1, 3) -> 0.2, (2, 3) -> 0.2
    assert best_of_n([1.0, 3.0, 2.0], [0.9, 0.2, 0.5], 2) == pytest.approx((0.5 + 0.2 + 0.2) / 3)


def test_one_is_the_mean_and_all_is_the_highest() -> None:
    scores, values = [0.3, 0.1, 0.2, 0.4], [1.0, 0.0, 1.0, 0.0]
    assert best_of_n(scores, values, 1) == pytest.approx(0.5)
    assert best_of_n(scores, values, 4) == 0.0


def test_equal_scores_share_their_weight() -> None:
    assert best_of_n([1.0, 1.0, 0.0], [1.0, 0.0, 0.0], 2) == pytest.approx(0.5)
    assert best_of_n([1.0, 1.0], [1.0, 0.0], 2) == best_of_n([1.0, 1.0], [0.0, 1.0], 2)


def test_it_is_the_mean_over_all_subsets() -> None:
    scores = [0.2, 0.9, 0.4, 0.7, 0.1, 0.5]
    values = [0.3, 0.1, 0.8, 0.6, 0.9, 0.4]
    for n in range(1, 7):
        chosen = [values[max(subset, key=lambda place: scores[place])] for subset in combinations(range(6), n)]
        assert best_of_n(scores, values, n) == pytest.approx(sum(chosen) / len(chosen))


def test_the_distance_from_the_policy() -> None:
    assert best_of_n_kl(1) == 0.0
    assert best_of_n_kl(2) == pytest.approx(math.log(2) - 0.5)
    assert powers_of_two(512) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert powers_of_two(5) == [1, 2, 4]


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="best of 3 needs at least 3 draws, got 2"):
        best_of_n([1.0, 2.0], [1.0, 0.0], 3)
    with pytest.raises(ValueError, match="2 scores and 1 values"):
        best_of_n([1.0, 2.0], [1.0], 1)
