"""Find x: exactly one value of the range fits, as a second reading of the question's text finds."""

from __future__ import annotations

import random
import re

import pytest

from cogitate.tasks.puzzles import find_x
from cogitate.tasks.puzzles.conditions import DigitSum, Equation, Remainder, Reversal, Side, holds
from cogitate.tasks.puzzles.levels import LEVELS
from tests.rewards.judging import grade


def fits(question: str, x: int) -> bool:
    """Whether x fits all that the question says, read from its words alone."""
    said = []
    for modulus, rest in re.findall(r"x(?: divided by |除以)(\d+)(?: leaves |余)(\d+)", question):
        said.append(x % int(modulus) == int(rest))
    for total in re.findall(r"(?:add up to |数字之和是)(\d+)", question):
        said.append(sum(map(int, str(x))) == int(total))
    for more in re.findall(r"(?:backwards is |倒过来写就是)x \+ (\d+)", question):
        said.append(int(str(x)[::-1]) == x + int(more))
    for left, right in re.findall(r"((?:x|\d) \* x[^=,.。，]*) = ([^,.。，]*)", question):
        said.append(eval(left, {"x": x}) == eval(right, {"x": x}))
    assert said, question
    return all(said)


@pytest.mark.parametrize("level", LEVELS)
def test_one_value_of_the_range_fits_and_it_is_the_gold(level: int) -> None:
    rng = random.Random(level)
    for _ in range(40):
        item = find_x.draw(rng, rng.choice(("train", "eval")), level)
        problem = item.problem()
        found = re.search(r"(\d+)(?: to |到)(\d+)", problem.question)
        assert found
        low, high = map(int, found.groups())
        assert [x for x in range(low, high + 1) if fits(problem.question, x)] == [int(problem.gold)], problem.question
        assert item.blind().candidates == high - low + 1
        assert grade("math", f"<answer>{problem.gold}</answer>", gold=problem.gold).value == "right"


def test_conditions_by_hand() -> None:
    assert [x for x in range(1, 13) if holds(Remainder(5, 2), x)] == [2, 7, 12]
    assert [x for x in range(10, 40) if holds(DigitSum(4), x)] == [13, 22, 31]
    assert [x for x in range(10, 50) if holds(Reversal(18), x)] == [13, 24, 35, 46]
    equation = Equation(Side("multiple", 7, 3), Side("multiple", 4, 30))
    assert equation.words("en") == "7 * x + 3 = 4 * x + 30"
    assert [x for x in range(1, 20) if holds(equation, x)] == [9]
    assert equation.calculations(9) == [("4 * 9", 36), ("36 + 30", 66), ("7 * 9", 63), ("63 + 3", 66)]
    square = Equation(Side("square", 0, -9), 55)
    assert square.words("en") == "x * x - 9 = 55"
    assert [x for x in range(1, 13) if holds(square, x)] == [8]
