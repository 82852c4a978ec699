"""Chains of additions and subtractions of numbers up to 99, asked in English or Chinese: `37 + 45 - 12 + 8`."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

from cogitate.tasks.common import Split, Task, belongs
from cogitate.types import Problem

NAME = "arithmetic"
TERMS = {2: 0.15, 3: 0.35, 4: 0.35, 5: 0.15}  # how many numbers a chain has, and how often
CHINESE_SHARE = 0.2
LARGEST_RESULT = 99

QUESTIONS = {
    "en": ("What is {chain}?", "Compute {chain}.", "{chain} = ?", "Calculate {chain}."),
    "zh": ("计算 {chain}。", "{chain} 等于多少？", "求 {chain} 的值。"),
}


@dataclass(frozen=True, slots=True)
class Chain:
    """start, then (sign, number) steps; every partial result lies in 0..LARGEST_RESULT."""

    start: int
    steps: tuple[tuple[str, int], ...]
    language: str
    question: str

    def results(self) -> list[int]:
        """The value after each step."""
        return running_results(self.start, self.steps)

    def problem(self) -> Problem:
        return Problem(
            id=f"{NAME}:{self.language}:{chain_text(self.start, self.steps)}",
            task=NAME,
            kind="math",
            question=self.question,
            gold=str(self.results()[-1]),
            language=self.language,
        )


def draw(rng: random.Random, split: Split) -> Chain:
    """A chain whose composition (signs and digit counts, as `2+2-1`) belongs to the split.

    Evaluation has no chain of two numbers: the corpus' rows of plain sums show every pattern of those.
    """
    language = "zh" if rng.random() < CHINESE_SHARE else "en"
    while True:
        terms = rng.choices(list(TERMS), weights=list(TERMS.values()))[0]
        if split == "eval" and terms == 2:
            continue
        start, steps = draw_steps(rng, terms - 1)
        composition = str(len(str(start))) + "".join(f"{sign}{len(str(number))}" for sign, number in steps)
        if belongs(split, NAME, composition):
            break
    question = rng.choice(QUESTIONS[language]).format(chain=chain_text(start, steps))
    return Chain(start, steps, language, question)


def draw_steps(rng: random.Random, count: int) -> tuple[int, tuple[tuple[str, int], ...]]:
    """A start of 10..99 and `count` steps that keep every partial result in range."""
    start = total = rng.randint(10, 99)
    steps: list[tuple[str, int]] = []
    while len(steps) < count:
        number = rng.randint(2, 9) if rng.random() < 0.3 else rng.randint(10, 99)
        sign = rng.choice("+-")
        result = total + number if sign == "+" else total - number
        if 0 <= result <= LARGEST_RESULT:
            steps.append((sign, number))
            total = result
    return start, tuple(steps)


def running_results(start: int, steps: tuple[tuple[str, int], ...]) -> list[int]:
    """The value after each signed step."""
    return list(accumulate((number if sign == "+" else -number for sign, number in steps), initial=start))[1:]


def chain_text(start: int, steps: tuple[tuple[str, int], ...]) -> str:
    return f"{start}" + "".join(f" {sign} {number}" for sign, number in steps)


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate)
