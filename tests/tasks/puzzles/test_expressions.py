"""Chains by hand, and their expressions against Python's own reading."""

from __future__ import annotations

import gc
import random
from collections import Counter
from itertools import islice

import pytest

from cogitate.tasks.puzzles.expressions import LARGEST, Chain, chains, random_chains, results, step


def test_two_numbers_make_three_results() -> None:
    assert results((2, 3)) == Counter({5: 1, 1: 1, 6: 1})


def test_three_numbers_make_twenty_seven_chains() -> None:
    found = chains((1, 2, 4))
    assert len(found) == 3 * 3 * 3  # a pair, its operator, the operator of the third
    assert results((1, 2, 4))[7] == 4  # 1 + 2 + 4 from each of three pairs, 2 * 4 - 1
    assert max(chain.result for chain in chains((12, 12, 12))) <= LARGEST


def test_the_smaller_number_is_taken_from_the_larger_one() -> None:
    assert step(4, "-", 10) == (10, "-", 4, 6)
    assert step(10, "-", 4) == (10, "-", 4, 6)
    assert step(4, "*", 10) == (4, "*", 10, 40)


def test_chains_leave_no_garbage_which_a_start_would_keep() -> None:
    gc.collect()
    chains.__wrapped__((3, 5, 7, 11))
    assert gc.collect() == 0


@pytest.mark.parametrize(
    ("numbers", "written"),
    [
        (((4, "+", 10, 14), (14, "-", 1, 13)), "4 + 10 - 1"),
        (((10, "-", 4, 6), (6, "*", 1, 6)), "(10 - 4) * 1"),
        (((3, "*", 4, 12), (20, "-", 12, 8)), "20 - 3 * 4"),
        (((3, "+", 4, 7), (20, "-", 7, 13)), "20 - (3 + 4)"),
        (((3, "*", 4, 12), (12, "*", 2, 24)), "3 * 4 * 2"),
        (((8, "-", 5, 3), (3, "-", 3, 0), (7, "-", 0, 7)), "7 - (8 - 5 - 3)"),
    ],
)
def test_an_expression_has_no_parentheses_that_it_can_do_without(
    numbers: tuple[tuple[int, str, int, int], ...], written: str
) -> None:
    assert Chain(numbers).expression() == written
    assert eval(written) == Chain(numbers).result


def test_every_expression_has_the_value_of_its_chain() -> None:
    rng = random.Random(1)
    for chain in islice(random_chains(rng, (3, 7, 7, 12, 2)), 300):
        assert eval(chain.expression()) == chain.result
        assert all(0 <= result <= LARGEST for *_, result in chain.steps)
