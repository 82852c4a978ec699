"""Evaluation of arithmetic and the rows of plain sums in the corpus never show the same pattern."""

import random
import re

from cogitate.tasks.corpus.documents import practice
from cogitate.tasks.generators import arithmetic

SUM = re.compile(r"(\d+) ([+-]) (\d+) =")


def pattern(start: int, steps: tuple[tuple[str, int], ...]) -> str:
    return str(len(str(start))) + "".join(f"{sign}{len(str(number))}" for sign, number in steps)


def test_no_pattern_of_the_evaluation_stands_in_the_rows_of_plain_sums() -> None:
    rng = random.Random(0)
    practised = {
        pattern(int(start), ((sign, int(number)),)) for _ in range(300) for start, sign, number in SUM.findall(practice(rng))
    }
    asked = {pattern(chain.start, chain.steps) for chain in (arithmetic.draw(rng, "eval") for _ in range(2000))}
    assert practised == {"2+1", "2+2", "2-1", "2-2"}
    assert len(asked) > 10
    assert not practised & asked
