"""Cases as values: what a model writes is read and never run."""

import os
import random
import subprocess
import sys
from typing import Any

import pytest

from cogitate.recipe.stages.unit_tests.write_tests import plain
from cogitate.tasks.written_tests.values import changed, changed_cases, like, literal, public_cases, read_proposals


def test_public_cases_are_the_values_of_tests_of_every_form() -> None:
    pairs = [{"args": [1, [2]], "expected": 3}, [[4], 5]]
    assert public_cases({"mode": "function", "tests": pairs}) == [((1, [2]), 3), ((4,), 5)]
    assertions = [
        "assert f((1, 2), {3}) == (4,)",
        "assert f(g(1)) == 2",
        "assert f(1)",
        "x = 1\nassert f(x) == 1",
        "assert g(1) == 1",
    ]
    assert public_cases({"mode": "function", "entry_point": "f", "tests": assertions}) == [(((1, 2), {3}), (4,))]
    stdin = [{"input": "1 2", "output": "3"}]
    assert public_cases({"mode": "stdin", "tests": stdin}) == [(("1 2",), "3")]


def test_a_reply_is_read_as_json_with_the_types_of_the_public_tests() -> None:
    text = 'Sure [1]:\n```json\n[[[1, 2], 3], [[], -1.5], [[4]], [5, 6], ["x", 1]]\n```'
    found, faults = read_proposals(text, ((7, 8), 9))
    assert found == [((1, 2), 3), ((), -1.5)]
    assert faults == ["not a list of 2 arguments"] + ["not of the form of the public tests"] * 2


@pytest.mark.parametrize("text", ["", "print('x')", "[1, 2]", "[[1", "__import__('os').system('x')", "[" * 100_000])
def test_a_reply_without_a_list_of_lists_holds_no_case(text: str) -> None:
    assert read_proposals(text, (1,)) == ([], ["no JSON list of lists in the reply"])


def test_too_large_a_case_is_none() -> None:
    assert read_proposals(f'[["{"x" * 3000}"]]', ("x",)) == ([], ["more than 2000 values"])


def test_types_follow_the_example_at_any_depth() -> None:
    assert like([[1, 2], [3]], [(0,)]) == [(1, 2), (3,)]
    assert like([1, 2], {5}) == {1, 2}
    assert like({"3": [1], "x": 2}, {"a": (0,), "x": 1}) == {"3": (1,), "x": 2}
    assert like({"3": [1]}, {7: (0,)}) == {3: (1,)}
    assert like({"3": 1}, {}) == {"3": 1}
    for value, example in ((True, 1), (1, True), ("1", 1), (1, "1"), (None, 1), ({}, []), ({"x": 1}, {(1, 2): 3})):
        with pytest.raises(TypeError):
            like(value, example)


def test_sets_are_written_in_sorted_order() -> None:
    letters = set("hgfedcba")
    assert literal((letters,)) == "({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'},)"
    assert literal({"k": [frozenset({2, 1}), set(), (), (1, 2)]}) == "{'k': [frozenset({1, 2}), set(), (), (1, 2)]}"
    assert plain({"k": letters}) == {"k": list("abcdefgh")}
    values: list[Any] = [1, -2.5, "x'y", None, True, [], (1,), {1: (2, [3])}, [set()], b"a"]
    for value in values:
        assert literal(value) == repr(value)


def test_what_is_made_of_sets_is_the_same_in_every_process() -> None:
    code = (
        "from cogitate.tasks.written_tests.values import changed_cases, like, literal\n"
        "case = ({'one', 'two', 'three', 'four'}, frozenset({('a', 1), ('b', 2)}))\n"
        "print(literal(changed_cases([case], 6, 1)), literal(like(['x', 1], {1, 'x'})))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(said) == 1


@pytest.mark.parametrize("value", [3, 2.5, "word", [1, 2, 3], (1, "a"), {1, 2}, {"k": 1}, True, "", []])
def test_a_changed_value_keeps_its_type(value: Any) -> None:
    rng = random.Random(1)
    found = [changed(value, rng) for _ in range(50)]
    assert {type(one) for one in found} <= {type(value), int, float}
    assert any(one != value for one in found)


def test_changed_cases_repeat_and_come_from_each_given_one() -> None:
    cases = [(1, "a"), (100, "zz")]
    found = changed_cases(cases, 20, seed=3)
    assert found == changed_cases(cases, 20, seed=3) != changed_cases(cases, 20, seed=4)
    assert len(found) == 20
    assert changed_cases([], 20, seed=3) == []
