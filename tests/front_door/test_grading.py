from typing import Any

import pytest

import cogitate
from cogitate.errors import ConfigError, DataError
from tests.front_door import functions

PROGRAM = "```python\ndef double(x):\n    return 2 * x\n```"
TESTS = [{"args": [4], "expected": 8}]


@pytest.mark.parametrize(
    ("completion", "fields", "value"),
    [
        (r"The answer is \boxed{1/2}", {"gold": "0.5"}, "right"),
        (r"<think>2 + 2</think> \boxed{5}", {"gold": 4}, "wrong"),
        ("It is Paris", {"gold": "Paris", "contract": "free"}, "right"),
        ("<answer> B </answer>", {"gold": "4", "choices": ["3", "4"]}, "right"),
        ("<answer> (1 + 2) * 3 </answer>", {"numbers": [1, 2, 3], "target": 9}, "right"),
        ("<think> a </think> b", {"kind": "format", "format_contract": "think_text"}, "right"),
    ],
)
def test_the_fields_say_how_a_completion_is_judged(completion: str, fields: dict[str, Any], value: str) -> None:
    assert cogitate.grade(completion, **fields).value == value


def test_a_list_gives_a_list_for_one_gold_or_for_one_each() -> None:
    answers = ["42", "41", "42"]
    assert [verdict.value for verdict in cogitate.grade(answers, gold="42", contract="bare")] == ["right", "wrong", "right"]
    verdicts = cogitate.grade(answers, gold=["42", "41", "40"], contract="bare")
    assert [verdict.value for verdict in verdicts] == ["right", "right", "wrong"]
    assert cogitate.grade([], gold="42") == []
    with pytest.raises(DataError, match="gold: 2 for 3 completions"):
        cogitate.grade(answers, gold=["42", "41"])


def test_a_completion_is_judged_by_its_text() -> None:
    completion = cogitate.Completion("<answer> 4 </answer>", None, "4", 9, 0, "stop", 0)
    assert cogitate.grade(completion, gold=4).extracted == "4"


def test_programs_run_in_workers() -> None:
    right, wrong = cogitate.grade([PROGRAM, PROGRAM.replace("2", "3")], entry_point="double", tests=TESTS)
    assert (right.value, wrong.value) == ("right", "wrong")
    assert right.seconds > 0


def test_a_function_judges_with_the_fields_as_the_problem() -> None:
    verdict = cogitate.grade("rain rain go", reward=functions.judge, word="rain")
    assert (verdict.value, verdict.score) == ("right", 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "maths", "gold": "4"}, "kind 'maths' is unknown; known are math"),
        ({"gold": "4", "contract": "r2"}, "contract 'r2' is unknown"),
        ({"kind": "custom"}, "kind custom needs a function: reward="),
        ({"kind": "math", "gold": 4, "reward": functions.judge}, "reward: judges kind custom, and kind = 'math'"),
        ({"gold": "4", "unsafe_local": True}, "change nothing: no program is run here"),
        ({}, "gold is missing: give gold=..., or what a problem of another kind needs"),
        ({"kind": "math"}, "gold is missing"),
    ],
)
def test_a_mistake_is_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, ConfigError), match=message):
        cogitate.grade("4", **arguments)
