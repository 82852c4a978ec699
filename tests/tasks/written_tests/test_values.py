"""Cases as values: what a model writes is read and never run."""

import random
from typing import Any

import pytest

from cogitate.tasks.written_tests.values import changed, changed_cases, like, public_cases, read_proposals


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
    for value, example in ((True, 1), (1, True), ("1", 1), (1, "1"), (None, 1), ({}, [])):
        with pytest.raises(TypeError):
            like(value, example)


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
