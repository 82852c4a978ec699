"""Find x in a stated range: two remainders, an equation, or a riddle about digits. Exactly one value fits."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from cogitate.tasks.common import Split, Task, belongs
from cogitate.tasks.puzzles.conditions import Condition, DigitSum, Equation, Remainder, Reversal, Side, holds
from cogitate.tasks.puzzles.levels import Blind, draw_language, draw_level
from cogitate.types import Problem

NAME = "find_x"
RANGES = {1: (6, 12), 2: (13, 24), 3: (25, 45), 4: (46, 80), 5: (81, 120)}  # how many values are in the range: from, to
MODULI = range(2, 13)
LARGEST_FACTOR = 9
ATTEMPTS = 100  # at numbers for one kind, before another kind is drawn
QUESTIONS = {
    "en": ("x is a whole number from {low} to {high}. {told}. What is x?", "Find x from {low} to {high}: {told}."),
    "zh": ("x是{low}到{high}的整数，{told}。x是多少？", "在{low}到{high}中找x：{told}。"),
}


@dataclass(frozen=True, slots=True)
class FindX:
    """The range, both ends included, and the conditions, one or two."""

    low: int
    high: int
    conditions: tuple[Condition, ...]
    level: int
    language: str
    question: str

    def solutions(self) -> list[int]:
        """Every value of the range that fits."""
        return fitting(self.low, self.high, self.conditions)

    def blind(self) -> Blind:
        return Blind(self.high - self.low + 1, len(self.solutions()))

    def problem(self) -> Problem:
        (x,) = self.solutions()
        return Problem(
            id=f"{NAME}:{self.level}:{self.language}:{self.low}-{self.high}:{composition_of(self.conditions)}",
            task=NAME,
            kind="math",
            question=self.question,
            gold=str(x),
            language=self.language,
            fields={"level": self.level},
        )


def fitting(low: int, high: int, conditions: tuple[Condition, ...]) -> list[int]:
    return [x for x in range(low, high + 1) if all(holds(condition, x) for condition in conditions)]


def composition_of(conditions: tuple[Condition, ...]) -> str:
    return ",".join(condition.composition() for condition in conditions)


def draw(rng: random.Random, split: Split, level: int | None = None) -> FindX:
    """A puzzle whose composition (its conditions with their numbers) belongs to the split."""
    level = draw_level(rng, split) if level is None else level
    language = draw_language(rng)
    while True:
        kind = rng.choice(list(KINDS))
        drawn = next((drawn for _ in range(ATTEMPTS) if (drawn := suitable(rng, kind, level, split))), None)
        if drawn:
            break
    low, high, conditions = drawn
    joiner = ", and " if language == "en" else "，"
    told = joiner.join(condition.words(language) for condition in conditions)
    form = rng.choice(QUESTIONS[language])
    if form.startswith("x is"):
        told = told if told[0] in "x123456789" else told[0].upper() + told[1:]
    return FindX(low, high, conditions, level, language, form.format(low=low, high=high, told=told))


Drawn = tuple[int, int, tuple[Condition, ...]]


def suitable(rng: random.Random, kind: str, level: int, split: Split) -> Drawn | None:
    """A range and conditions with one solution, of the split; None where the draw has not made any."""
    low, high, conditions = KINDS[kind](rng, level)
    one = len(fitting(low, high, conditions)) == 1
    return (low, high, conditions) if one and belongs(split, NAME, composition_of(conditions)) else None


def draw_remainders(rng: random.Random, level: int) -> Drawn:
    """Two remainders; the range is as long as the product of the moduli, or a little shorter."""
    least, most = RANGES[level]
    pairs = [(a, b) for a in MODULI for b in MODULI if a < b and least <= a * b <= most + 8]
    moduli = rng.choice(pairs)
    high = min(most, moduli[0] * moduli[1])
    x = rng.randint(1, high)
    return 1, high, tuple(Remainder(modulus, x % modulus) for modulus in moduli)


def draw_equation(rng: random.Random, level: int) -> Drawn:
    """A multiple of x and a number, on one or on both sides; on the first level also a square, which are small there."""
    least, most = RANGES[level]
    high = rng.randint(least, most)
    x = rng.randint(2, high)
    if level == 1 and rng.random() < 0.4:
        left = Side("square", 0, rng.randint(-min(9, x * x - 1), 20))
        return 1, high, (Equation(left, left.value(x)),)
    left = Side("multiple", rng.randint(3, LARGEST_FACTOR), rng.randint(-2, 30))
    if rng.random() < 0.5:
        return 1, high, (Equation(left, left.value(x)),)
    factor = rng.randint(2, left.factor - 1)
    return 1, high, (Equation(left, Side("multiple", factor, left.value(x) - factor * x)),)


def draw_riddle(rng: random.Random, level: int) -> Drawn:
    """The sum of the digits, and a remainder or the number written backwards."""
    least, most = RANGES[level]
    low, high = 10, min(99, 10 + rng.randint(least, most) - 1)
    x = rng.randint(low, high)
    backwards = int(str(x)[::-1])
    first = DigitSum(sum(map(int, str(x))))
    if backwards > x and rng.random() < 0.5:
        return low, high, (first, Reversal(backwards - x))
    modulus = rng.randint(3, 9)
    return low, high, (first, Remainder(modulus, x % modulus))


KINDS: dict[str, Callable[[random.Random, int], Drawn]] = {
    "remainders": draw_remainders,
    "equation": draw_equation,
    "riddle": draw_riddle,
}


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate)
