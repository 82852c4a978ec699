"""Verdicts on programs: what counts as right, and who is to blame."""

import pytest

from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.sandbox.limits import Limits
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level

needs_sandbox = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")


def fenced(program: str) -> str:
    return f"Here it is.\n```python\n{program}\n```\n"


@needs_sandbox
def test_a_right_function_passes_all_its_tests() -> None:
    answer = fenced("def tail(xs):\n    return xs[1:]")
    verdict = grade_code(answer, entry_point="tail", tests=[{"args": [[3, 1, 2]], "expected": [1, 2]}, [[[5]], []]])
    assert (verdict.value, verdict.score) == ("right", 1.0)
    assert verdict.extracted == "def tail(xs):\n    return xs[1:]\n"


@needs_sandbox
def test_the_first_failing_test_is_the_reason() -> None:
    answer = fenced("def double(x):\n    return x * 2 if x < 3 else 0")
    verdict = grade_code(answer, entry_point="double", tests=[[1, 2], [4, 8]])
    assert (verdict.value, verdict.score) == ("wrong", 0.0)
    assert verdict.reason == "test 2 of 2 fails: double(4) gave 0, expected 8"


@needs_sandbox
def test_partial_credit_is_the_share_of_tests_passed() -> None:
    answer = fenced("def half(x):\n    return x // 2")
    verdict = grade_code(answer, entry_point="half", tests=[[4, 2], [5, 2.5], [6, 3], [0, 0]], partial=True)
    assert (verdict.value, verdict.score) == ("wrong", 0.75)


@needs_sandbox
def test_a_program_is_run_afresh_for_each_input() -> None:
    answer = fenced("import os\nfirst = not os.path.exists('seen')\nopen('seen', 'w').close()\nprint(int(input()) * 2, first)")
    tests = [{"input": "4\n", "output": "8 True\n"}, {"input": "5", "output": "10 True"}]
    assert grade_code(answer, mode="stdin", tests=tests).value == "right"


@needs_sandbox
def test_a_program_that_never_ends_is_wrong() -> None:
    limits = Limits(cpu_seconds=0.3, wall_seconds=20)
    verdict = grade_code(fenced("def f(x):\n    while True: pass"), entry_point="f", tests=[[1, 1]], limits=limits)
    assert verdict.value == "wrong"
    assert "processor time" in verdict.reason


@needs_sandbox
def test_tests_that_cannot_be_used_give_no_verdict() -> None:
    program = fenced("def f(x):\n    return x")
    assert grade_code(program, entry_point="f", tests=[]).value == "none"
    assert grade_code(program, entry_point="f", tests=[{"arguments": [1]}]).value == "none"
    assert grade_code(program, entry_point=None, tests=[[1, 1]]).value == "none"


@needs_sandbox
def test_limits_can_be_given_by_name() -> None:
    program = fenced("import time\ndef f(x):\n    time.sleep(60)")
    verdict = grade_code(program, entry_point="f", tests=[[1, 1]], limits={"wall_seconds": 0.5})
    assert (verdict.value, "longer than allowed" in verdict.reason) == ("wrong", True)
    assert grade_code(program, entry_point="f", tests=[[1, 1]], limits={"seconds": 1}).value == "none"
    assert grade_code(program, entry_point="f", tests=[[1, 1]], limits={"cpu_seconds": 0}).value == "none"


@needs_sandbox
def test_decimals_are_compared_by_the_tolerance_of_the_problem() -> None:
    third = fenced("print('%.6f' % (1 / int(input())))")
    tests = [{"input": "3", "output": "0.333333333333"}]
    assert grade_code(third, mode="stdin", tests=tests).value == "right"
    assert grade_code(third, mode="stdin", tests=tests, decimals=1e-9).value == "wrong"
    rounded = fenced("def f(x):\n    return round(1 / x, 4)")
    assert grade_code(rounded, entry_point="f", tests=[[3, 1 / 3]]).value == "wrong"
    assert grade_code(rounded, entry_point="f", tests=[[3, 1 / 3]], decimals=1e-3).value == "right"


@needs_sandbox
@pytest.mark.parametrize(
    ("program", "mode", "test"),
    [
        ("print(10 ** int(input()))", "stdin", {"input": "5000", "output": "1" + "0" * 5000}),
        ("print(int(input()) + 1)", "stdin", {"input": "9" * 5000, "output": "1" + "0" * 5000}),
        ("print(str(2 ** int(input()))[:5])", "stdin", {"input": "20000", "output": "39802"}),
        ("print(f'{7 ** 6000}'[-1])", "stdin", {"input": "", "output": "1"}),
        ("print(len('%d' % (1 << 30000)))", "stdin", {"input": "", "output": "9031"}),
        ("def f(n):\n    return len(str(2 ** n))", "function", [20000, 6021]),
        ("import math\ndef f(n):\n    return sum(map(int, str(math.factorial(n))))", "function", [2000, 23382]),
        ("def f(n):\n    return 10 ** n % 7", "function", [9000, 10**9000 % 7]),
        ("def f(n):\n    return 3 ** n", "function", [10_000, 3**10_000]),
        ("def f(text):\n    return int(text) % 9", "function", ["8" * 9000, 0]),
    ],
)
def test_numbers_of_more_than_4300_digits_are_numbers(program: str, mode: str, test: object) -> None:
    verdict = grade_code(fenced(program), mode=mode, entry_point="f", tests=[test])  # type: ignore[arg-type]
    assert verdict.value == "right", verdict.reason


@needs_sandbox
def test_a_wrong_number_of_more_than_4300_digits_is_wrong() -> None:
    script = fenced("print(10 ** int(input()) + 1)")
    assert grade_code(script, mode="stdin", tests=[{"input": "5000", "output": "1" + "0" * 5000}]).value == "wrong"
    assert grade_code(fenced("def f(n):\n    return 3 ** n + 1"), entry_point="f", tests=[[10_000, 3**10_000]]).value == "wrong"
