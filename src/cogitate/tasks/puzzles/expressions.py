"""Chains of operations over given numbers: two of them, then one more at a time. What a blind search of countdown tries."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

OPERATORS = "+-*"
LARGEST = 200  # of the results in between: nobody writes larger ones down


@dataclass(frozen=True, slots=True)
class Chain:
    """Results one after the other, each used by the next: (4, "+", 10, 14), (14, "-", 1, 13)."""

    steps: tuple[tuple[int, str, int, int], ...]

    @property
    def result(self) -> int:
        return self.steps[-1][3]

    def expression(self) -> str:
        """As one expression with no parentheses that it can do without: 4 + 10 - 1."""
        first, operator, second, result = self.steps[0]
        text, loosest = f"{first} {operator} {second}", operator
        for left, operator, right, value in self.steps[1:]:
            in_sum = loosest in "+-"
            if left == result:
                inner = f"({text})" if operator == "*" and in_sum else text
                text = f"{inner} {operator} {right}"
            else:  # the result so far is taken from a larger number
                text = f"{left} {operator} ({text})" if in_sum else f"{left} {operator} {text}"
            loosest, result = operator, value
        return text


def apply(left: int, operator: str, right: int) -> int:
    return {"+": left + right, "-": left - right, "*": left * right}[operator]


def step(left: int, operator: str, right: int) -> tuple[int, str, int, int]:
    """One operation; the smaller number is taken from the larger one."""
    if operator == "-" and left < right:
        left, right = right, left
    return left, operator, right, apply(left, operator, right)


@lru_cache(maxsize=256)
def chains(numbers: tuple[int, ...]) -> tuple[Chain, ...]:
    """All chains that use each number once and stay within LARGEST, in a fixed order; equal numbers count as different ones."""
    found: list[Chain] = []
    for first, second in itertools.combinations(range(len(numbers)), 2):
        rest = tuple(number for index, number in enumerate(numbers) if index not in (first, second))
        for operator in OPERATORS:
            taken = step(numbers[first], operator, numbers[second])
            if taken[3] <= LARGEST:
                go_on((taken,), rest, found)
    return tuple(found)


def go_on(steps: tuple[tuple[int, str, int, int], ...], rest: tuple[int, ...], found: list[Chain]) -> None:
    """Add to `found` all chains that begin with these steps and use the rest."""
    # Not within `chains`: a function there would refer to itself, and what it has found would stay until the garbage collector
    # comes, which waits while a run starts (60 MB of a process then, for good).
    if not rest:
        found.append(Chain(steps))
        return
    for index, number in enumerate(rest):
        for operator in OPERATORS:
            taken = step(steps[-1][3], operator, number)
            if taken[3] <= LARGEST:
                go_on((*steps, taken), rest[:index] + rest[index + 1 :], found)


@lru_cache(maxsize=4096)
def results(numbers: tuple[int, ...]) -> Counter[int]:
    """How many of the chains make each result."""
    return Counter(chain.result for chain in chains(numbers))


def random_chains(rng: random.Random, numbers: Sequence[int]) -> Iterator[Chain]:
    """Chains drawn blindly, with repeats, without end."""
    while True:
        order = rng.sample(list(numbers), len(numbers))
        steps: list[tuple[int, str, int, int]] = []
        for number in order[1:]:
            steps.append(step(steps[-1][3] if steps else order[0], rng.choice(OPERATORS), number))
        if max(result for *_, result in steps) <= LARGEST:
            yield Chain(tuple(steps))
