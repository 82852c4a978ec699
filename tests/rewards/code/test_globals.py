"""Assertions that read a global of the program: plain data crosses, as it is when it is read; what is none is judged in the
program's own process, or not at all; a right program is never blamed for it."""

import pytest

from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.types import Verdict

pytestmark = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")

F = "def f(x):\n    return x + 1\n"


def judge(program: str, tests: str | list[str], *, weaker: bool, partial: bool = False) -> Verdict:
    return grade_code(f"```python\n{program}\n```", tests=tests, entry_point="f", weaker_tests=weaker, partial=partial)


NO_PLAIN_DATA = [
    ("import re\npattern = re.compile(r'\\d+')", "assert pattern is not None"),
    ("import re\npattern = re.compile(r'\\d+')", "assert pattern.match('12')\nassert not pattern.match('x')"),
    ("import re\npattern = re.compile(r'\\d+')", "def check(candidate):\n    assert pattern.search('a1')"),
    ("class Box:\n    x = 1\nbox = Box()", "assert box.x == 1"),
    ("from datetime import date\nEPOCH = date(1970, 1, 1)", "assert EPOCH.year == 1970"),
    ("numbers = (i for i in range(3))", "assert list(numbers) == [0, 1, 2]"),
    ("from collections import deque\nqueue = deque([1])", "assert queue.popleft() == 1"),
    ("from decimal import Decimal\nPI = Decimal('3.14')", "import decimal\nassert PI == decimal.Decimal('3.14')"),
    ("import threading\nlock = threading.Lock()", "with lock:\n    held = lock.locked()\nassert held"),
    ("from functools import cache\nf = cache(f)", "assert f(1) == 2\nassert f.cache_info().misses == 1"),
    ("import types\nspace = types.ModuleType('space')\nspace.x = 1", "assert space.x == 1"),
    ("items = [print]", "try:\n    seen = items[0] is print\nexcept Exception:\n    seen = False\nassert seen"),
]


@pytest.mark.parametrize(("program", "tests"), NO_PLAIN_DATA)
def test_what_is_no_plain_data_is_judged_where_it_is_or_not_at_all(program: str, tests: str) -> None:
    judged = judge(F + program, tests, weaker=True)
    assert (judged.value, "weaker" in judged.reason) == ("right", True)
    assert judge(F + program, tests, weaker=False).value == "none"


WRONG = [
    ("pattern = None", "assert pattern is not None"),
    ("", "assert pattern is not None"),
    ("import re\npattern = re.compile('a')", "assert pattern.match('12')"),
    ("class Box:\n    x = 1\nbox = Box()", "assert box.x == 2"),
    ("from collections import deque\nqueue = deque()", "assert queue.popleft() == 1"),
    ("", "assert f.cache_info()"),
    ("LIMIT = 5", "assert LIMIT == 6"),
    ("class Equal:\n    def __eq__(self, other): return True\nEQUAL = Equal()", "assert f(1) == 3"),
    ("class Equal:\n    def __eq__(self, other): return True\ndef f(x): return Equal()", "assert f(1) == 2"),
    ("import math as m\nm.pi = 3", "assert m.pi == 3"),  # the judge's own module
]


@pytest.mark.parametrize(("program", "tests"), WRONG)
def test_a_wrong_global_is_wrong(program: str, tests: str) -> None:
    assert judge(F + program, tests, weaker=True).value == "wrong"


def test_a_test_that_fails_without_the_global_is_wrong_whatever_the_global_is() -> None:
    program = "import re\npattern = re.compile('a')\ndef f(x):\n    return 0"
    tests = ["assert pattern.match('a')", "assert f(1) == 2", "assert f(-1) == 0"]
    for weaker in (True, False):
        assert judge(program, tests, weaker=weaker).value == "wrong"
    halved = judge(program, tests, weaker=False, partial=True)
    assert (halved.value, halved.score) == ("wrong", 0.5)  # of the tests that could be judged
    assert judge(program, tests[:1] + tests[2:], weaker=False).value == "none"


STRONG = [
    ("LIMIT = [1, 2]", "assert LIMIT[1] == f(1)"),
    ("count = 0\ndef step():\n    global count\n    count += 1", "step()\nstep()\nassert count == 2"),
    ("seen = []\ndef note(x):\n    seen.append(x)", "assert seen == []\nnote(3)\nassert seen == [3]"),
    ("import math as m", "assert m.floor(2.5) == f(1)"),
    ("import os.path", "assert os.path.basename('a/b') == 'b'"),
    ("from math import gcd", "assert gcd(4, 6) == f(1)"),
    ("WORDS = {'a': (1, 2)}", "for key in WORDS:\n    assert WORDS[key] == (1, 2)"),
    ("TABLE = list(range(2000))", "assert all(TABLE[i] == i for i in range(2000))"),
    ("inf = float('inf')", "assert inf > 1e300"),
    ("", "assert callable(f)\nassert f.__name__ == 'f'"),
    ("NAME = 'x'", "def check(candidate):\n    assert candidate(1) == 2 and NAME == 'x'"),
]


@pytest.mark.parametrize(("program", "tests"), STRONG)
def test_plain_data_modules_and_functions_are_judged_apart(program: str, tests: str) -> None:
    judged = judge(F + program, tests, weaker=False)
    assert (judged.value, "weaker" in judged.reason) == ("right", False), judged.reason


def test_a_global_that_the_tests_change_is_changed_in_the_programs_own_process() -> None:
    program = "stack = []\ndef f(x):\n    return stack.pop()"
    tests = "stack.append(4)\nassert f(1) == 4"
    assert judge(program, tests, weaker=True).value == "right"
    assert judge(program, tests, weaker=False).value == "none"
    assert judge(program.replace("pop()", "pop() + 1"), tests, weaker=True).value == "wrong"
