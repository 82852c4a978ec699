"""The table of kinds: what its rows promise holds of every kind, so that a new row is all that a new kind needs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.rewards.kinds import KINDS, GradingContext, check_fields, grade_by_kind, has_rules, kind_of

PROBLEMS: dict[str, dict[str, Any]] = {
    "math": {"gold": "4"},
    "choice": {"gold": "B"},
    "exact": {"gold": "Paris"},
    "drop": {"answers": [["Paris"]]},
    "logic": {"gold": {"Ann": True}},
    "countdown": {"numbers": [1, 2], "target": 3},
    "code": {"mode": "function", "tests": "assert f(1) == 1"},
    "format": {"format_contract": "think_text"},
    "language": {"language": "en"},
    "ifeval": {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
    "custom": {},
    "judge": {},
    "gym": {"generator": "chain_sum", "entry": {"answer": "3", "metadata": {}}},
}
WRONG_VALUES = (object(), [object()], {"a": object()}, 1.5)


def test_every_kind_with_rules_is_in_this_test() -> None:
    assert {name for name in KINDS if has_rules(name)} == set(PROBLEMS)
    assert [name for name in KINDS if not has_rules(name)] == ["general", "safety"]


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_with_all_that_its_kind_needs_is_accepted_and_one_that_lacks_any_is_not(name: str) -> None:
    check_fields(name, PROBLEMS[name])
    for field in KINDS[name].required:
        lacking = {key: value for key, value in PROBLEMS[name].items() if key != field}
        with pytest.raises(DataError, match=f"kind {name} needs the field '{field}'"):
            check_fields(name, lacking)


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_field_that_need_not_be_there_may_be_none_and_may_not_be_anything(name: str) -> None:
    for key, field in KINDS[name].fields.items():
        if not field.required:
            check_fields(name, {**PROBLEMS[name], key: None})
        assert not all(field.fits(value) for value in WRONG_VALUES), key


@pytest.mark.parametrize("name", sorted(set(PROBLEMS) - {"code", "gym", "custom", "judge"}))
def test_an_empty_completion_is_wrong_in_every_kind(name: str) -> None:
    assert grade_by_kind(name, "", PROBLEMS[name], GradingContext("r1")).value == "wrong"


def test_kinds_are_known_by_name_and_those_without_rules_are_not_graded() -> None:
    with pytest.raises(DataError, match="kind 'maths' is unknown; known are math, choice"):
        kind_of("maths")
    with pytest.raises(DataError, match="no rule judges kind general"):
        check_fields("general", {})


def test_what_runs_code_is_told_by_kind_and_fields() -> None:
    assert kind_of("code").runs_code({})
    assert kind_of("gym").runs_code({"generator": "n_queens"})
    assert not kind_of("gym").runs_code({"generator": "chain_sum"})
    assert not kind_of("math").runs_code({})


def test_answers_that_can_be_voted_on_are_values() -> None:
    voting = [kind.name for kind in KINDS.values() if kind.can_vote]
    assert voting == ["math", "choice", "exact"]
    assert all(KINDS[name].answer == "value" for name in voting)


def test_the_table_loads_no_library_that_a_worker_may_not_need() -> None:
    heavy = (
        "torch", "numpy", "pydantic", "math_verify", "sympy", "reasoning_gym", "lingua", "cogitate.rewards.sandbox.sandbox",
        "mpmath",
    )  # fmt: skip
    program = f"""
import sys
import cogitate.rewards.workers.worker
print([name for name in {heavy} if name in sys.modules])
import cogitate.rewards.math.answer  # as a worker does that judges mathematics
print([name for name in {heavy} if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n['mpmath']\n"
