"""Options of a code problem: a linter first, a reference for its tests, a better score for less work."""

from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.types import Verdict
from tests.rewards.judging import grade

pytestmark = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")

TESTS = [[[10], 45], [[100], 4950]]
LOOP = "def f(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total"
FORMULA = "def f(n):\n    return n * (n - 1) // 2"


def judge(program: str, **fields: object) -> Verdict:
    asked: dict[str, Any] = {"mode": "function", "entry_point": "f", "tests": TESTS, **fields}
    return grade("code", f"```python\n{program}\n```", contract="bare", **asked)


def test_tests_that_the_reference_fails_are_no_verdict() -> None:
    assert judge(LOOP, reference_program=FORMULA).value == "right"
    refused = judge(LOOP, reference_program=FORMULA, tests=[*TESTS, [[3], 4]])
    assert (refused.value, "the reference fails them: test 3 of 3" in refused.reason) == ("none", True)
    assert judge("def f(n):\n    return 45", reference_program=FORMULA).value == "wrong"


def test_a_right_program_that_works_less_scores_more() -> None:
    slow = judge(LOOP, reference_program=FORMULA, efficiency=0.4)
    quick = judge(FORMULA, reference_program=FORMULA, efficiency=0.4)
    assert (quick.value, quick.score) == ("right", 1.0)
    assert slow.value == "right"
    assert 0.6 < slow.score < 0.7  # a formula needs less than a quarter of the loop's instructions
    assert "instructions, the reference needs" in slow.reason
    assert slow.score == judge(LOOP, reference_program=FORMULA, efficiency=0.4).score
    assert judge(FORMULA, reference_program=LOOP, efficiency=0.4).score == 1.0
    assert judge("def f(n):\n    return 45", reference_program=FORMULA, efficiency=0.4).score == 0.0
    assert judge(LOOP, reference_program=FORMULA, tests="assert f(10) == 45", efficiency=0.4).value == "none"


def test_a_program_that_the_linter_objects_to_is_wrong_before_it_runs() -> None:
    careless = "def f(n):\n    if n < 0:\n        return undefined_name\n    return n * (n - 1) // 2"
    assert judge(careless).value == "right"
    refused = judge(careless, lint=True)
    assert (refused.value, "the linter objects: line 3" in refused.reason) == ("wrong", True)
    assert judge(FORMULA, lint=True).value == "right"


def test_what_cannot_be_meant_is_refused() -> None:
    for fields, why in (
        ({"efficiency": 0.5}, "efficiency needs the field 'reference_program'"),
        ({"efficiency": 2, "reference_program": LOOP}, "a number from 0 to 1"),
        ({"reference_program": 5}, "a right program"),
    ):
        with pytest.raises(DataError, match=why):
            judge(LOOP, **fields)
