"""Write a Python function over a list of numbers: a composition of two to four small operations, graded by unit tests."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cogitate.tasks.common import Split, Task, belongs
from cogitate.types import Problem

NAME = "code"
LENGTHS = {2: 0.4, 3: 0.4, 4: 0.2}  # how many operations are composed, and how often
TESTS = 6
CHINESE_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Operation:
    """One step on a list.

    Attributes:
        english, chinese: what the question says; `{k}` is the step's constant.
        expression: Python for the step on the list `{xs}`.
        apply: the reference implementation.
    """

    english: str
    chinese: str
    expression: str
    apply: Callable[[list[int], int], list[int]]


OPERATIONS = {
    "sort": Operation("sorts the list", "排序", "sorted({xs})", lambda xs, k: sorted(xs)),
    "reverse": Operation("reverses it", "反转", "{xs}[::-1]", lambda xs, k: xs[::-1]),
    "even": Operation("keeps only the even numbers", "只留偶数", "[x for x in {xs} if x % 2 == 0]",
                      lambda xs, k: [x for x in xs if x % 2 == 0]),
    "odd": Operation("keeps only the odd numbers", "只留奇数", "[x for x in {xs} if x % 2 == 1]",
                     lambda xs, k: [x for x in xs if x % 2 == 1]),
    "above": Operation("keeps the numbers above {k}", "只留大于{k}的数", "[x for x in {xs} if x > {k}]",
                       lambda xs, k: [x for x in xs if x > k]),
    "add": Operation("adds {k} to each number", "每个数加{k}", "[x + {k} for x in {xs}]", lambda xs, k: [x + k for x in xs]),
    "times": Operation("multiplies each number by {k}", "每个数乘{k}", "[x * {k} for x in {xs}]",
                       lambda xs, k: [x * k for x in xs]),
    "front": Operation("puts {k} in front", "在前面放{k}", "[{k}] + {xs}", lambda xs, k: [k, *xs]),
    "end": Operation("puts {k} at the end", "在后面放{k}", "{xs} + [{k}]", lambda xs, k: [*xs, k]),
    "rest": Operation("drops the first number", "去掉第一个数", "{xs}[1:]", lambda xs, k: xs[1:]),
    "most": Operation("drops the last number", "去掉最后一个数", "{xs}[:-1]", lambda xs, k: xs[:-1]),
    "take": Operation("keeps the first {k} numbers", "留下前{k}个数", "{xs}[:{k}]", lambda xs, k: xs[:k]),
    "unique": Operation("removes repeated numbers", "去掉重复的数", "list(dict.fromkeys({xs}))",
                        lambda xs, k: list(dict.fromkeys(xs))),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """The operations in the order they apply, each with its constant."""

    steps: tuple[tuple[str, int], ...]
    language: str
    question: str

    def run(self, xs: list[int]) -> list[int]:
        for name, k in self.steps:
            xs = OPERATIONS[name].apply(xs, k)
        return xs

    def problem(self) -> Problem:
        return Problem(
            id=f"{NAME}:{self.language}:" + ",".join(f"{name}{k}" for name, k in self.steps),
            task=NAME,
            kind="code",
            question=self.question,
            language=self.language,
            fields={"mode": "function", "entry_point": "f", "tests": self.tests()},
        )

    def tests(self) -> list[dict[str, Any]]:
        """Unit tests drawn from the program itself: an empty list, one of repeated and one of negative numbers, and others."""
        rng = random.Random(str(self.steps))
        inputs: list[list[int]] = [[], [7, 7, 2, 7, 2, 4], [-5, 3, -8, 0, 9]]
        inputs += [[rng.randint(-20, 20) for _ in range(rng.randint(3, 7))] for _ in range(TESTS - len(inputs))]
        return [{"args": [xs], "expected": self.run(xs)} for xs in inputs]


def describe(step: tuple[str, int], language: str) -> str:
    """What a step does, in words."""
    operation = OPERATIONS[step[0]]
    return (operation.english if language == "en" else operation.chinese).format(k=step[1])


def draw(rng: random.Random, split: Split) -> Program:
    """A program whose composition (the sequence of operations without constants) belongs to the split."""
    language = "zh" if rng.random() < CHINESE_SHARE else "en"
    while True:
        length = rng.choices(list(LENGTHS), weights=list(LENGTHS.values()))[0]
        names = [rng.choice(list(OPERATIONS)) for _ in range(length)]
        if any(first == second for first, second in itertools.pairwise(names)):
            continue
        if belongs(split, NAME, ",".join(names)):
            break
    steps = tuple((name, rng.randint(2, 9)) for name in names)
    phrases = [describe(step, language) for step in steps]
    if language == "en":
        question = f"Write a Python function f(xs) that takes a list of numbers and {', then '.join(phrases)}."
    else:
        question = f"写一个Python函数f(xs)，对一列数{'，然后'.join(phrases)}。"
    return Program(steps, language, question)


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate, needs_sandbox=True)
