"""How long completions are: a log-normal distribution, cut at the limit, whose mean is given.

The longest of many decides when a batch is done: a mean alone says nothing about that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

SPREAD = 1.0  # deviation of the logarithm of a length, over problems and samples of reasoning models
USUAL_SHARE, USUAL_MEAN = 0.5, 2000.0  # where nobody says: half of the limit, or what reasoning models write early in RL
UNKNOWN_LENGTH = 0.5  # deviation of the logarithm of such a mean


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of completions: their mean, and where they are cut."""

    mean: float
    limit: float

    def share_longer(self, tokens: float) -> float:
        """The share of completions with more tokens than these."""
        if tokens >= self.limit:
            return 0.0
        return _above(tokens, _centre(round(self.mean, 3), round(self.limit, 3)))

    def mean_position(self) -> float:
        """Where in its completion a token stands on average: beyond half the mean, since long ones have most of the tokens."""
        step = self.limit / 64
        places = [(piece + 0.5) * step for piece in range(64)]
        shares = [self.share_longer(place) for place in places]
        return sum(place * share for place, share in zip(places, shares, strict=True)) / max(sum(shares), 1e-9)

    def longest(self, count: float) -> float:
        """The expected longest of `count` completions."""
        centre = _centre(round(self.mean, 3), round(self.limit, 3))
        low, high = 1.0, self.limit
        for _ in range(40):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if _above(middle, centre) * count > 1 else (low, middle)
        return high


def usual_mean(limit: float) -> float:
    """The mean where only the limit is known."""
    return min(USUAL_SHARE * limit, USUAL_MEAN)


def _above(tokens: float, centre: float) -> float:
    return 0.5 * math.erfc((math.log(max(tokens, 1e-9)) - centre) / (SPREAD * math.sqrt(2)))


@lru_cache(maxsize=4096)
def _centre(mean: float, limit: float) -> float:
    """The median's logarithm with which the cut distribution has this mean."""
    low, high = math.log(1e-3), math.log(limit) + 8
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _cut_mean(middle, limit) < mean else (low, middle)
    return high


def _cut_mean(centre: float, limit: float) -> float:
    """E[min(X, limit)] of a log-normal X."""
    z = (math.log(limit) - centre) / SPREAD
    below = math.exp(centre + SPREAD**2 / 2) * 0.5 * math.erfc(-(z - SPREAD) / math.sqrt(2))
    return below + limit * 0.5 * math.erfc(z / math.sqrt(2))
