"""The five levels of a puzzle, and how a blind search is measured.

A *blind search* draws candidates uniformly from those that a puzzle allows: expressions, values in the range, roles, orders of
steps. `Blind` counts them; its `tries` is how many a blind search needs on average: all candidates over the right ones.
Long sums have no candidates; their measure is the number of single steps.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from cogitate.tasks.common import Split

LEVELS = (1, 2, 3, 4, 5)
LEVELS_TO_LEARN = (1, 2, 3)  # corpus and training; evaluation has all five
CHINESE_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Blind:
    """How many candidates a puzzle allows, and how many of them are right."""

    candidates: int
    right: int

    @property
    def tries(self) -> float:
        """Candidates that a blind search needs on average."""
        return self.candidates / self.right

    @property
    def share(self) -> float:
        """Share of blind candidates that are right."""
        return self.right / self.candidates


def draw_level(rng: random.Random, split: Split) -> int:
    """One of the levels of a split, all equally often."""
    return rng.choice(LEVELS if split == "eval" else LEVELS_TO_LEARN)


def draw_language(rng: random.Random) -> str:
    return "zh" if rng.random() < CHINESE_SHARE else "en"
