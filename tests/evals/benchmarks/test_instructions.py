"""IFEval's four figures by hand."""

from __future__ import annotations

import dataclasses

import pytest

from cogitate.evals.benchmarks.instructions import instruction_metrics, loose_forms
from cogitate.evals.evaluate import Measured
from cogitate.types import Problem

NO_COMMA, THREE_WORDS = "punctuation:no_comma", "length_constraints:number_words"
PROBLEM = Problem(
    id="1", task="t", kind="ifeval", question="?",
    fields={"instruction_id_list": [NO_COMMA, THREE_WORDS], "kwargs": [{}, {"relation": "at least", "num_words": 3}]},
)  # fmt: skip


def measured(text: str, name: str = "1") -> Measured:
    problem = dataclasses.replace(PROBLEM, id=name)
    return Measured(problem, True, 1.0, None, text, 1, None, True, True, False, False, "")


def test_prompts_and_instructions_are_counted_strict_and_loose() -> None:
    groups = [
        [measured("one two three", "1")],  # both kept
        [measured("Sure, here it is\none two three", "2")],  # loose: without its first line
        [measured("one", "3")],  # one of two kept
    ]
    found = {name: value["value"] for name, value in instruction_metrics(groups, "free").items()}
    assert found["prompt_strict"] == pytest.approx(1 / 3)
    assert found["instruction_strict"] == pytest.approx(4 / 6)
    assert found["prompt_loose"] == pytest.approx(2 / 3)
    assert found["instruction_loose"] == pytest.approx(5 / 6)


def test_the_thinking_is_no_part_of_the_response() -> None:
    groups = [[measured("<think> a, b </think> one two three")]]
    assert instruction_metrics(groups, "r1")["prompt_strict"]["value"] == 1.0


def test_the_eight_loose_forms() -> None:
    assert loose_forms("*a*\nb\nc") == ["*a*\nb\nc", "b\nc", "*a*\nb", "b", "a\nb\nc", "b\nc", "a\nb", "b"]
