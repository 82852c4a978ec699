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
Habit = Literal["guess", "one", "few", "many"]

STYLES: dict[str, float] = {"bare": 0.58, "short": 0.19, "long": 0.09, "checked": 0.06, "mixed": 0.08}

WRONG: dict[str, tuple[float, ...]] = {  # by number of steps: 1, 2, 3, 4 and more
    "bare": (0.25, 0.45, 0.6, 0.7),
    "short": (0.15, 0.25, 0.35, 0.4),
    "long": (0.02, 0.03, 0.03, 0.04),
    "checked": (0.01, 0.01, 0.01, 0.01),
    "mixed": (0.03, 0.04, 0.04, 0.05),
}
SLIP_FOUND = 0.5  # share of checked workings in which a slip is made, noticed and mended

# How people solve the puzzles of tasks/puzzles: most guess, some try one or two things, few go through possibilities.
MOST_GUESSERS = 0.7
SEARCHERS: dict[str, float] = {"one": 0.3, "few": 0.35, "many": 0.35}  # of those who do not guess
TRIES = {"one": (1, 1), "few": (2, 3), "many": (4, 14)}  # before they give up: at least, at most
PATIENCE = 5.0  # mean of what "many" adds to the least, exponentially distributed
CARELESS_GUESS = 0.15  # share of guesses that do not even use what is given
SLIP = {"noticed": 0.008, "unnoticed": 0.002}  # share of single steps of those who search
SLIP_IN_SUMS = {"noticed": 0.02, "unnoticed": 0.004}  # of the steps of long sums, where the inverse operation finds them
CHECKED_STEPS = {"one": 0.0, "few": 0.15, "many": 0.4}  # share of sums and differences that are undone at once
LOOKS_BACK = 0.15  # share of "many" who do a try that fits once more
CHANGES_LANGUAGE = 0.1  # share of those who do not guess whose language changes between tries
GIVES_UP_ALOUD = 0.5  # share of those without success who say so


@dataclass(frozen=True, slots=True)
class Population:
    """Who has written the puzzles' solutions.

    Attributes:
        guessers: share of people who guess, at most MOST_GUESSERS.
        going_back: whether anybody rejects a try and goes on, or notices a slip; without, those who do not guess try one thing.
    """

    guessers: float = MOST_GUESSERS
    going_back: bool = True

    def __post_init__(self) -> None:
        assert 0 <= self.guessers <= MOST_GUESSERS, self.guessers


@dataclass(frozen=True, slots=True)
class Worked:
    """A solution as somebody wrote it: thinking (empty for a bare answer) and the final answer."""

    thinking: str
    answer: str


def draw_style(rng: random.Random) -> Style:
    return weighted(rng, STYLES)  # type: ignore[return-value]


def draw_habit(rng: random.Random, population: Population) -> Habit:
    if rng.random() < population.guessers:
        return "guess"
    return weighted(rng, SEARCHERS) if population.going_back else "one"  # type: ignore[return-value]


def draw_tries(rng: random.Random, habit: Habit) -> int:
    """How many tries somebody makes before giving up."""
    least, most = TRIES[habit]
    return rng.randint(least, most) if habit != "many" else min(most, least + int(rng.expovariate(1 / PATIENCE)))


def is_wrong(rng: random.Random, style: Style, steps: int) -> bool:
    """Whether this author gets it wrong."""
    table = WRONG[style]
    return rng.random() < table[min(steps, len(table)) - 1]
