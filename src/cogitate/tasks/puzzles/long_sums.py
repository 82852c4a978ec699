"""Long sums and products: six to twelve numbers added and subtracted, or a number of many digits times a single one."""

from __future__ import annotations

import random
from dataclasses import dataclass

from cogitate.tasks.common import Split, Task, belongs
from cogitate.tasks.generators.arithmetic import chain_text, running_results
from cogitate.tasks.puzzles.levels import draw_language, draw_level
from cogitate.types import Problem

NAME = "long_sums"
OPERANDS = {1: 6, 2: 7, 3: 8, 4: 10, 5: 12}  # of a sum, by level
DIGITS = {1: 2, 2: 2, 3: 3, 4: 4, 5: 5}  # of the number that is multiplied
LARGEST_RESULT = 99  # of a sum, on the way and at the end
QUESTIONS = {
    "en": ("What is {text}?", "Compute {text}.", "{text} = ?", "Calculate {text}."),
    "zh": ("计算 {text}。", "{text} 等于多少？", "求 {text} 的值。"),
}


@dataclass(frozen=True, slots=True)
class LongSum:
    """start, then (sign, number) steps."""

    start: int
    steps: tuple[tuple[str, int], ...]
    level: int
    language: str
    question: str

    def results(self) -> list[int]:
        """The value after each step."""
        return running_results(self.start, self.steps)

    def value(self) -> int:
        return self.results()[-1]

    def text(self) -> str:
        return chain_text(self.start, self.steps)

    def single_steps(self) -> int:
        """The measure of its difficulty."""
        return len(self.steps)

    def problem(self) -> Problem:
        return _problem(self)


@dataclass(frozen=True, slots=True)
class Product:
    """number times a single digit."""

    number: int
    digit: int
    level: int
    language: str
    question: str

    def parts(self) -> list[tuple[int, int]]:
        """(part of the number, its product): 347 * 6 has (300, 1800), (40, 240), (7, 42); a digit 0 has none."""
        digits = str(self.number)
        values = [int(digit) * 10 ** (len(digits) - place) for place, digit in enumerate(digits, 1)]
        return [(value, value * self.digit) for value in values if value]

    def value(self) -> int:
        return self.number * self.digit

    def text(self) -> str:
        return f"{self.number} * {self.digit}"

    def single_steps(self) -> int:
        """The products of the parts and the sums that join them."""
        return 2 * len(self.parts()) - 1

    def problem(self) -> Problem:
        return _problem(self)


def _problem(item: LongSum | Product) -> Problem:
    return Problem(
        id=f"{NAME}:{item.level}:{item.language}:{item.text()}",
        task=NAME,
        kind="math",
        question=item.question,
        gold=str(item.value()),
        language=item.language,
        fields={"level": item.level},
    )


def draw(rng: random.Random, split: Split, level: int | None = None) -> LongSum | Product:
    """A sum or a product whose composition belongs to the split.

    The composition of a sum is its signs and digit counts; that of a product the first two digits and the factor, so that no
    evaluation problem begins as one that was learnt from.
    """
    level = draw_level(rng, split) if level is None else level
    language = draw_language(rng)
    form = rng.choice(QUESTIONS[language])
    if rng.random() < 0.5:
        return draw_sum(rng, split, level, language, form)
    while True:
        number, digit = rng.randint(11, 10 ** DIGITS[level] - 1), rng.randint(3, 9)
        if len(str(number)) == DIGITS[level] and belongs(split, NAME, f"{str(number)[:2]}*{digit}"):
            break
    return Product(number, digit, level, language, form.format(text=f"{number} * {digit}"))


def draw_sum(rng: random.Random, split: Split, level: int, language: str, form: str) -> LongSum:
    while True:
        start, steps = draw_steps(rng, OPERANDS[level] - 1)
        composition = str(len(str(start))) + "".join(f"{sign}{len(str(number))}" for sign, number in steps)
        if belongs(split, NAME, composition):
            return LongSum(start, steps, level, language, form.format(text=chain_text(start, steps)))


def draw_steps(rng: random.Random, count: int) -> tuple[int, tuple[tuple[str, int], ...]]:
    """A start and `count` steps that keep every partial result in range; seven in ten numbers have two digits."""
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


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate)
