"""Long sums and products: the gold is what Python makes of the question's text."""

from __future__ import annotations

import random
import re

from cogitate.tasks.puzzles import long_sums
from cogitate.tasks.puzzles.levels import LEVELS
from cogitate.tasks.puzzles.long_sums import LongSum, Product


def test_the_gold_is_the_value_of_the_text() -> None:
    rng = random.Random(1)
    kinds = set()
    for level in LEVELS:
        for _ in range(40):
            item = long_sums.draw(rng, "eval", level)
            problem = item.problem()
            found = re.search(r"\d+(?: [+*-] \d+)+", problem.question)
            assert found
            assert eval(found.group()) == int(problem.gold)
            if isinstance(item, LongSum):
                assert len(re.findall(r"\d+", found.group())) == long_sums.OPERANDS[level]
                assert all(0 <= result <= long_sums.LARGEST_RESULT for result in item.results())
            else:
                assert len(str(item.number)) == long_sums.DIGITS[level]
            kinds.add(type(item))
    assert kinds == {LongSum, Product}


def test_the_parts_of_a_product_add_up_to_it() -> None:
    item = Product(3070, 6, 3, "en", "")
    assert item.parts() == [(3000, 18000), (70, 420)]
    assert item.value() == 18420
    assert item.single_steps() == 3  # two products and their sum
