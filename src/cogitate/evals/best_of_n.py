"""Best-of-n without bias, for every n at once from one pool of draws, and how far it goes from the policy.

Of N draws with scores, the mean over all subsets of n of the value of the draw that scores highest is
sum_i C(i-1, n-1) / C(N, n) value_(i), values in ascending order of the score (the idea of pass@k, arXiv:2107.03374; for reward
models arXiv:2112.09332, appendix I). Draws of equal scores share their weights: which of them is taken is chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby


def best_of_n(scores: Sequence[float], values: Sequence[float], n: int) -> float:
    """The expected value of the draw of the highest score among n of these.

    Args:
        scores: what chooses. values: what is measured of the choice, in the same order.

    Raises:
        ValueError: fewer than n draws, or not one value for each score.
    """
    if len(scores) != len(values):
        raise ValueError(f"{len(scores)} scores and {len(values)} values")
    if not 1 <= n <= len(scores):
        raise ValueError(f"best of {n} needs at least {n} draws, got {len(scores)}")
    total, below, expected = math.comb(len(scores), n), 0, 0.0
    for _, group in groupby(sorted(zip(scores, values, strict=True)), key=lambda pair: pair[0]):
        tied = [value for _, value in group]
        share = (math.comb(below + len(tied), n) - math.comb(below, n)) / total
        expected += share * sum(tied) / len(tied)
        below += len(tied)
    return expected


def best_of_n_kl(n: int) -> float:
    """KL(best-of-n, policy) in nats where no two draws are alike: log n - (n - 1) / n; an upper bound elsewhere
    (arXiv:2210.10760, section 3)."""
    return math.log(n) - (n - 1) / n


def powers_of_two(most: int) -> list[int]:
    """1, 2, 4 ... up to `most`."""
    return [1 << power for power in range(most.bit_length()) if 1 << power <= most]
