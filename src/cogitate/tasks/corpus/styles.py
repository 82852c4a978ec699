"""How people solve problems in the corpus: the styles, how often each occurs, and how often each is wrong.

Most people write the bare answer and are often wrong when the problem is long; few work step by step; fewer check.
These tables are the whole of what makes reasoning present but rare; no number of them is known to any RL stage.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from cogitate.tasks.common import weighted

Style = Literal["bare", "short", "long", "checked", "mixed"]

STYLES: dict[str, float] = {"bare": 0.58, "short": 0.19, "long": 0.09, "checked": 0.06, "mixed": 0.08}

WRONG: dict[str, tuple[float, ...]] = {  # by number of steps: 1, 2, 3, 4 and more
    "bare": (0.25, 0.45, 0.6, 0.7),
    "short": (0.15, 0.25, 0.35, 0.4),
    "long": (0.02, 0.03, 0.03, 0.04),
    "checked": (0.01, 0.01, 0.01, 0.01),
    "mixed": (0.03, 0.04, 0.04, 0.05),
}
SLIP_FOUND = 0.5  # share of checked workings in which a slip is made, noticed and mended


@dataclass(frozen=True, slots=True)
class Worked:
    """A solution as somebody wrote it: thinking (empty for a bare answer) and the final answer."""

    thinking: str
    answer: str


def draw_style(rng: random.Random) -> Style:
    return weighted(rng, STYLES)  # type: ignore[return-value]


def is_wrong(rng: random.Random, style: Style, steps: int) -> bool:
    """Whether this author gets it wrong."""
    table = WRONG[style]
    return rng.random() < table[min(steps, len(table)) - 1]
