"""Programs from examples: which of the given steps, in which order, turn the inputs into the outputs? Graded by unit tests."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

from cogitate.tasks.common import Split, Task, belongs
from cogitate.tasks.puzzles.expressions import apply
from cogitate.tasks.puzzles.levels import Blind, draw_language, draw_level
from cogitate.types import Problem

NAME = "programs"
LEVELS = {  # how many steps, of how many that are given, and the tries of a blind search: from, up to
    1: (2, 3, 2, 6),
    2: (2, 4, 6, 12),
    3: (3, 4, 12, 24),
    4: (3, 5, 20, 60),
    5: (4, 5, 40, 120),
}
INPUTS = range(1, 10)
FURTHER_TESTS = (0, 7, 12, 30)  # beside the two examples
LARGEST = 200  # of what any order of the steps makes of an example
QUESTIONS = {
    "en": (
        "f uses {count} of these steps, each once, in some order: {menu}. {pairs}. Write the Python function f(x).",
        "Write a Python function f(x) with {pairs}. Use {count} of the steps {menu}, each once, in the right order.",
    ),
    "zh": (
        "f按某种顺序用了这些步骤中的{count}个，每个一次：{menu}。{pairs}。写出Python函数f(x)。",
        "写一个Python函数f(x)，使{pairs}。从步骤{menu}中选{count}个，每个用一次，排好顺序。",
    ),
}

Step = tuple[str, int]  # sign and number: ("+", 3)


@dataclass(frozen=True, slots=True)
class Induction:
    """menu: the steps that are given; steps: those of f in their order; pairs: the examples."""

    menu: tuple[Step, ...]
    steps: tuple[Step, ...]
    pairs: tuple[tuple[int, int], ...]
    level: int
    language: str
    question: str

    def candidates(self) -> list[tuple[Step, ...]]:
        """All orders of as many steps as f has."""
        return list(itertools.permutations(self.menu, len(self.steps)))

    def solutions(self) -> list[tuple[Step, ...]]:
        """Those that fit the examples; all of them are the same function."""
        return [steps for steps in self.candidates() if all(run(steps, x) == y for x, y in self.pairs)]

    def blind(self) -> Blind:
        return Blind(len(self.candidates()), len(self.solutions()))

    def problem(self) -> Problem:
        return Problem(
            id=f"{NAME}:{self.level}:{self.question}",
            task=NAME,
            kind="code",
            question=self.question,
            language=self.language,
            fields={"mode": "function", "entry_point": "f", "tests": self.tests(), "level": self.level},
        )

    def tests(self) -> list[dict[str, object]]:
        """The examples, and values that were not shown."""
        shown = [x for x, _ in self.pairs]
        return [{"args": [x], "expected": run(self.steps, x)} for x in (*shown, *FURTHER_TESTS)]


def run(steps: tuple[Step, ...], x: int) -> int:
    for sign, number in steps:
        x = apply(x, sign, number)
    return x


def results(steps: tuple[Step, ...], x: int) -> list[int]:
    """The value after each step."""
    return list(itertools.accumulate(steps, lambda value, step: apply(value, *step), initial=x))[1:]


def draw(rng: random.Random, split: Split, level: int | None = None) -> Induction:
    """A puzzle whose composition (the steps of f in their order) belongs to the split.

    No order of the steps makes anything negative or large of the examples.
    """
    level = draw_level(rng, split) if level is None else level
    language = draw_language(rng)
    count, given, least, most = LEVELS[level]
    while True:
        menu = draw_menu(rng, given)
        steps = tuple(rng.sample(menu, count))
        if not belongs(split, NAME, written(steps)):
            continue
        shown = sorted(rng.sample(INPUTS, 2))
        made = [[results(order, x) for x in shown] for order in itertools.permutations(menu, count)]
        if any(not 0 <= value <= LARGEST for values in made for each in values for value in each):
            continue
        pairs = tuple((x, run(steps, x)) for x in shown)
        right = sum([values[-1] for values in each] == [y for _, y in pairs] for each in made)
        if least <= len(made) / right <= most:
            break
    told = (" and " if language == "en" else "，").join(f"f({x}) = {y}" for x, y in pairs)
    question = rng.choice(QUESTIONS[language]).format(count=count, menu=written(menu), pairs=told)
    return Induction(menu, steps, pairs, level, language, question)


def draw_menu(rng: random.Random, count: int) -> tuple[Step, ...]:
    """Different steps, with at least one factor, since sums alone may be done in any order."""
    while True:
        menu = {draw_step(rng) for _ in range(count)}
        if len(menu) == count and any(sign == "*" for sign, _ in menu):
            return tuple(rng.sample(sorted(menu), count))


def draw_step(rng: random.Random) -> Step:
    sign = rng.choice("++-*")
    return sign, rng.randint(2, 4) if sign == "*" else rng.randint(1, 4 if sign == "-" else 9)


def written(steps: tuple[Step, ...]) -> str:
    """+ 3, * 2."""
    return ", ".join(f"{sign} {number}" for sign, number in steps)


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate, needs_sandbox=True)
