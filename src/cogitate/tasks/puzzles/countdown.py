"""Countdown: use each of three to five numbers once, with + - and *, to make a target."""

from __future__ import annotations

import random
from dataclasses import dataclass

from cogitate.tasks.common import Split, Task, belongs
from cogitate.tasks.puzzles.expressions import Chain, chains, results
from cogitate.tasks.puzzles.levels import Blind, draw_language, draw_level
from cogitate.types import Problem

NAME = "countdown"
LARGEST_NUMBER = 12
LARGEST_TARGET = 60
LEVELS = {  # how many numbers, and the tries of a blind search: from, up to
    1: (3, 1, 10),
    2: (3, 10, 20),
    3: (4, 20, 40),
    4: (4, 40, 120),
    5: (5, 40, 200),
}
QUESTIONS = {
    "en": (
        "Use {numbers}, each once, to make {target}.",
        "Make {target} from {numbers}. Use each number once, with + - *.",
        "How can you make {target} with {numbers}? Each number is used once.",
    ),
    "zh": ("用{numbers}，每个数用一次，得到{target}。", "怎样用{numbers}算出{target}？每个数只用一次。"),
}


@dataclass(frozen=True, slots=True)
class Countdown:
    """numbers as they are asked, the target, and the question's words."""

    numbers: tuple[int, ...]
    target: int
    level: int
    language: str
    question: str

    def solutions(self) -> list[Chain]:
        """All chains that make the target."""
        return [chain for chain in chains(self.numbers) if chain.result == self.target]

    def blind(self) -> Blind:
        made = results(self.numbers)
        return Blind(made.total(), made[self.target])

    def problem(self) -> Problem:
        return Problem(
            id=f"{NAME}:{self.level}:{self.language}:{','.join(map(str, sorted(self.numbers)))}:{self.target}",
            task=NAME,
            kind="countdown",
            question=self.question,
            gold=min((chain.expression() for chain in self.solutions()), key=len),
            language=self.language,
            fields={"numbers": list(self.numbers), "target": self.target, "level": self.level},
        )


def draw(rng: random.Random, split: Split, level: int | None = None) -> Countdown:
    """A puzzle whose composition (which numbers, in any order) belongs to the split."""
    level = draw_level(rng, split) if level is None else level
    language = draw_language(rng)
    count, least, most = LEVELS[level]
    while True:
        numbers = tuple(sorted(rng.randint(1, LARGEST_NUMBER) for _ in range(count)))
        if not belongs(split, NAME, ",".join(map(str, numbers))):
            continue
        made = results(numbers)
        fitting = [
            target
            for target, ways in sorted(made.items())
            if 1 <= target <= LARGEST_TARGET and target not in numbers and least <= made.total() / ways <= most
        ]
        if fitting:
            break
    target = rng.choice(fitting)
    asked = tuple(rng.sample(numbers, count))
    question = rng.choice(QUESTIONS[language]).format(numbers=listed(asked, language), target=target)
    return Countdown(asked, target, level, language, question)


def listed(numbers: tuple[int, ...], language: str) -> str:
    """4, 1 and 10."""
    parts = list(map(str, numbers))
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if language == "en" else f"{'、'.join(parts[:-1])}和{parts[-1]}"


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate)
