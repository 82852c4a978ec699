"""Assertion tests: kept apart from the program, so that nothing it patches or returns can make them pass."""

import pytest

from cogitate.rewards.code.assertions import read_assertions
from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.code.outcome import BadTestsError
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.types import Verdict

needs_sandbox = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")

TESTS = "assert double(2) == 4\nassert double(0) == 0\nassert double(-3) == -6"


def judge(program: str, tests: str | list[str] = TESTS, *, partial: bool = False, weaker_tests: bool = False) -> Verdict:
    code = f"```python\n{program}\n```"
    return grade_code(code, tests=tests, entry_point="double", partial=partial, weaker_tests=weaker_tests)


@needs_sandbox
def test_a_right_program_passes_its_assertions() -> None:
    assert judge("def double(x):\n    return 2 * x").value == "right"


@needs_sandbox
def test_the_failing_assertion_is_named() -> None:
    verdict = judge("def double(x):\n    return x + 2")
    assert verdict.value == "wrong"
    assert "test 2 of 3" in verdict.reason
    assert "double(0) == 0" in verdict.reason


@needs_sandbox
def test_each_assertion_counts_for_partial_credit() -> None:
    verdict = judge("def double(x):\n    return x + 2 if x else 0", partial=True)
    assert (verdict.value, round(verdict.score, 3)) == ("wrong", 0.667)


ATTACKS = {
    "equal to all": "class T:\n    def __eq__(self, other): return True\ndef double(x): return T()",
    "an int equal to all": "class T(int):\n    def __eq__(self, other): return True\ndef double(x): return T(0)",
    "a quiet exit": "import os\ndef double(x): os._exit(0)",
    "an exit at loading": "import sys\nsys.exit(0)",
    "patched builtins": "import builtins\nbuiltins.AssertionError = KeyboardInterrupt\nbuiltins.all = lambda x: True\n"
    "def double(x): return 1",
    "frames": "import sys\ndef double(x):\n    f = sys._getframe()\n    while f:\n"
    "        for v in list(f.f_globals.values()):\n            if isinstance(v, str) and 'assert' in v: print(v)\n"
    "        f = f.f_back\n    return 1",
    "a forged answer": "import os\nm = b'{\"value\":[\"done\",null]}'\nos.write(4, len(m).to_bytes(8, 'little') + m)\n"
    "def double(x): return 1",
    "a generator of right answers": "def double(x):\n    return (2 * x for _ in [0])",
    "an exception that is an assertion": "def double(x):\n    raise AssertionError",
}


@needs_sandbox
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_on_assertions_are_wrong(attack: str) -> None:
    assert judge(ATTACKS[attack], weaker_tests=True).value == "wrong"


@needs_sandbox
def test_a_program_cannot_replace_the_builtins_of_its_judge() -> None:
    cheat = "def double(x): return None\ndef sorted(x): return 0\nset = sorted"
    assert judge(cheat, tests="assert sorted(double(1)) == sorted([2])\nassert set(double(1)) == set([2])").value == "wrong"


@needs_sandbox
def test_a_function_may_be_named_like_a_builtin_where_it_is_the_one_under_test() -> None:
    assert grade_code("def sum(a, b):\n    return a - b\n", tests=["assert sum(10, 4) == 6"]).value == "right"


@needs_sandbox
def test_a_check_that_nobody_calls_is_called_with_the_entry_point() -> None:
    tests = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(5) == 10\n"
    assert judge("def double(x):\n    return 2 * x", tests=tests).value == "right"
    assert judge("def double(x):\n    return 4", tests=tests).value == "wrong"


@needs_sandbox
def test_helpers_values_and_modules_of_the_program_can_be_used() -> None:
    program = "import math\nLIMIT = [1, 2]\ndef helper(x):\n    return x + 1\ndef double(x):\n    return 2 * x"
    assert judge(program, tests="assert helper(double(2)) == 5\nassert math.floor(2.5) == LIMIT[1]").value == "right"


@needs_sandbox
def test_what_a_program_does_to_its_arguments_and_raises_is_seen() -> None:
    program = "def double(xs):\n    if not xs: raise ValueError('empty')\n    xs[:] = [2 * x for x in xs]"
    tests = (
        "xs = [1, 2]\ndouble(xs)\nassert xs == [2, 4]\ntry:\n    double([])\n    seen = False\n"
        "except ValueError:\n    seen = True\nassert seen"
    )
    assert judge(program, tests=tests).value == "right"


CLASS_PROGRAM = """
class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b
def double(p):
    return p.a + p.b
"""
CLASS_TESTS = "assert double(Pair(1, 2)) == 3"


@needs_sandbox
def test_tests_that_need_the_programs_classes_are_weaker_and_no_reward_by_default() -> None:
    assert judge(CLASS_PROGRAM, tests=CLASS_TESTS).value == "none"
    allowed = judge(CLASS_PROGRAM, tests=CLASS_TESTS, weaker_tests=True)
    assert allowed.value == "right"
    assert "weaker" in allowed.reason
    assert judge(CLASS_PROGRAM.replace("+", "-"), tests=CLASS_TESTS, weaker_tests=True).value == "wrong"


@needs_sandbox
def test_a_program_cannot_choose_the_weaker_way() -> None:
    cheat = "class Double:\n    def __init__(self, x): pass\n    def __eq__(self, other): return True"
    assert judge(cheat, tests="assert Double(2) == 4", weaker_tests=True).value == "wrong"


@needs_sandbox
def test_functions_handed_over_by_the_tests_need_the_weaker_way() -> None:
    program = "def double(f):\n    return 2 * f()"
    assert judge(program, tests="assert double(lambda: 4) == 8", weaker_tests=True).value == "right"


@pytest.mark.parametrize("tests", ["def f(", "x = 1", "import math", "def check(candidate):\n    assert candidate(1)"])
def test_source_that_tests_nothing_cannot_be_used(tests: str) -> None:
    with pytest.raises(BadTestsError):
        read_assertions(tests, None)


def test_capitalised_functions_are_told_from_classes_by_their_use() -> None:
    assert not read_assertions("assert Extract([[1]]) == [1]", None).need_classes
    assert read_assertions("root = Node(1)\nassert height(root) == 1", None).need_classes
    assert not read_assertions("import math as M\nassert M.floor(f(1)) == 1 and isinstance(f(2), int)", None).need_classes


@needs_sandbox
def test_ranges_and_bytearrays_cross_in_both_directions() -> None:
    program = "def double(x):\n    return x if isinstance(x, (range, bytearray)) else None"
    tests = "assert double(range(1, 5, 2)) == range(1, 5, 2)\nassert type(double(bytearray(b'x'))) is bytearray"
    assert judge(program, tests=tests).value == "right"
