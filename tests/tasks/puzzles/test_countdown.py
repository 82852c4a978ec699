"""Countdown's solver against an independent one, which puts numbers and parentheses in every way."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator

from cogitate.rewards.graders.countdown import evaluate
from cogitate.tasks.puzzles import countdown
from cogitate.tasks.puzzles.levels import LEVELS
from tests.rewards.judging import grade


def every_expression(numbers: tuple[int, ...]) -> Iterator[str]:
    """All expressions of numbers in this order, with all parentheses."""
    if len(numbers) == 1:
        yield str(numbers[0])
    for cut in range(1, len(numbers)):
        for left, right in itertools.product(every_expression(numbers[:cut]), every_expression(numbers[cut:])):
            for sign in "+-*":
                yield f"({left} {sign} {right})"


def reachable(numbers: tuple[int, ...]) -> set[int]:
    return {int(evaluate(text)[0]) for order in itertools.permutations(numbers) for text in every_expression(order)}


def test_the_gold_makes_the_target_with_each_number_once() -> None:
    rng = random.Random(1)
    for level in LEVELS:
        for _ in range(6):
            problem = countdown.draw(rng, "eval", level).problem()
            found = re.findall(r"\d+", problem.question.replace("each once", ""))
            assert sorted(map(int, found)) == sorted([*problem.fields["numbers"], problem.fields["target"]])
            for contract, text in (("r1", f"<answer> {problem.gold} </answer>"), ("free", f"The answer is {problem.gold}.")):
                assert grade("countdown", text, contract=contract, **problem.fields).value == "right", problem  # type: ignore[arg-type]


def test_the_solver_finds_nothing_that_cannot_be_reached_and_every_target_can() -> None:
    rng = random.Random(2)
    for _ in range(25):
        item = countdown.draw(rng, "train", rng.choice((1, 2)))
        assert item.target in reachable(item.numbers)
        solutions = item.solutions()
        assert item.blind().right == len(solutions)
        for chain in solutions:
            value, used = evaluate(chain.expression())
            assert value == item.target
            assert sorted(used) == sorted(item.numbers)


def test_how_many_numbers_a_level_has_and_how_many_tries_it_needs() -> None:
    rng = random.Random(3)
    for level, (count, least, most) in countdown.LEVELS.items():
        for _ in range(3):
            item = countdown.draw(rng, "eval", level)
            assert len(item.numbers) == count
            assert least <= item.blind().tries <= most
