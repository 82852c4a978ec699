"""Names that a problem's judge gives to its programs: LeetCode's, or those of a source of the problem's own."""

from typing import Any

import pytest

from cogitate.errors import DataError
from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.code.prelude import PRELUDES
from cogitate.rewards.kinds import check_fields
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from tests.rewards.judging import grade

needs_sandbox = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")


def solution(body: str, arguments: str = "x") -> str:
    return f"```python\nclass Solution:\n    def f(self, {arguments}):\n        {body}\n```"


STARTERS = [
    (solution("return len(x)", "x: List[str]"), [["a", "b"]], 2),
    (solution("return 1", "x: Optional[TreeNode]"), [None], 1),
    (solution("return deque(x).popleft()"), [[4]], 4),
    (solution("return gcd(x, 12)"), [8], 4),
    (solution("return min(x, default=inf)"), [[]], float("inf")),
    (solution("return pow(x, 2, 5)"), [3], 4),  # Python's own, not those of math and operator
    (solution("return max(Counter(x).values())"), ["abba"], 2),
    (solution("return list(accumulate(x))[-1] + bisect_left(x, 2)"), [[1, 2, 3]], 7),
    (solution("heappush(x, 0)\n        return heapq.heappop(x)"), [[3]], 0),
    (solution("return reduce(operator.mul, x) + math.floor(sqrt(4))"), [[2, 3]], 8),
    (solution("return cache(lambda n: n + 1)(x)"), [1], 2),
    (solution("return self.f(x - 1) + 1 if x else 0"), [5000], 5000),
]


@needs_sandbox
@pytest.mark.parametrize(("answer", "args", "expected"), STARTERS)
def test_starter_code_of_leetcode_runs_where_the_problem_says_so(answer: str, args: list[object], expected: object) -> None:
    tests = [{"args": args, "expected": expected}]
    assert grade_code(answer, entry_point="f", tests=tests, prelude="leetcode").value == "right"


@needs_sandbox
def test_a_method_of_solution_has_the_names_where_the_problem_says_nothing_and_a_plain_function_has_none() -> None:
    method = "```python\nclass Solution:\n    def f(self, xs: List[int]) -> int:\n        return deque(xs).popleft()\n```"
    function = "```python\ndef f(xs: List[int]) -> int:\n    return deque(xs).popleft()\n```"
    tests = [{"args": [[4, 5]], "expected": 4}]
    assert grade_code(method, entry_point="f", tests=tests).value == "right"
    assert grade_code(method, entry_point="f", tests=tests, prelude="").value == "wrong"
    assert grade_code(function, entry_point="f", tests=tests).value == "wrong"


@needs_sandbox
def test_a_program_comes_before_its_prelude_and_wrong_ones_stay_wrong() -> None:
    shadowing = "```python\nclass Solution:\n    def permutations(self, xs):\n        return len(xs)\n```"
    tests = [{"args": [[1, 2]], "expected": 2}]
    assert grade_code(shadowing, entry_point="permutations", tests=tests, prelude="leetcode").value == "right"
    own = "```python\ndef gcd(a, b):\n    return 0\n```"
    assert grade_code(own, entry_point="gcd", tests=[[[4, 6], 0]], prelude="leetcode").value == "right"
    assert grade_code(own, entry_point="gcd", tests=[[[4, 6], 2]], prelude="leetcode").value == "wrong"
    future = "```python\nfrom __future__ import annotations\ndef f(x: Unknown):\n    return x\n```"
    assert grade_code(future, entry_point="f", tests=[[1, 1]], prelude="leetcode").value == "right"
    broken = "```python\n\ndef f(x:\n```"
    verdict = grade_code(broken, entry_point="f", tests=[[1, 1]], prelude="leetcode")
    assert (verdict.value, "line 2" in verdict.reason) == ("wrong", True)  # lines are the program's own


@needs_sandbox
def test_a_problem_may_have_a_prelude_of_its_own_in_every_mode() -> None:
    prelude = "BASE = 10\ndef twice(x):\n    return 2 * x"
    script = "```python\nprint(twice(int(input())) + BASE)\n```"
    tests = [{"input": "1", "output": "12"}]
    assert grade_code(script, mode="stdin", tests=tests, prelude=prelude).value == "right"
    function = "```python\ndef f(x):\n    return twice(x) + BASE\n```"
    assert grade_code(function, entry_point="f", tests=[[1, 12]], prelude=prelude).value == "right"
    assert grade_code(function, entry_point="f", tests=[[1, 12]], prelude=prelude, lint=True).value == "right"
    assert grade_code(function, entry_point="f", tests="assert f(1) == twice(1) + BASE", prelude=prelude).value == "right"
    cheat = "```python\ndef twice(x):\n    return 0\nBASE = 1\ndef f(x):\n    return 1\n```"
    assert grade_code(cheat, entry_point="f", tests="assert f(1) == twice(1) + BASE", prelude=prelude).value == "wrong"


@needs_sandbox
def test_a_prelude_is_no_work_of_the_program() -> None:
    program = "def f(n):\n    return n * (n - 1) // 2"
    fields: dict[str, Any] = {
        "mode": "function", "entry_point": "f", "tests": [[10, 45]], "reference_program": program, "efficiency": 0.5
    }  # fmt: skip
    plain, given = (grade("code", program, contract="bare", **fields, prelude=name) for name in (None, "leetcode"))
    assert given.score == plain.score == 1.0
    assert given.reason == plain.reason


@needs_sandbox
def test_a_prelude_that_fails_is_no_verdict() -> None:
    verdict = grade_code("def f(x):\n    return x\n", entry_point="f", tests=[[1, 1]], prelude="import no_such_module")
    assert (verdict.value, "the prelude fails" in verdict.reason) == ("none", True)


def test_a_prelude_is_a_known_name_or_python() -> None:
    problem = {"mode": "function", "entry_point": "f", "tests": [[1, 1]]}
    check_fields("code", {**problem, "prelude": "leetcode"})
    check_fields("code", {**problem, "prelude": "import math"})
    for prelude, why in (("leetcod", f"known names are {', '.join(PRELUDES)}"), ("import (", "not Python"), (5, "a text")):
        with pytest.raises(DataError, match=why):
            check_fields("code", {**problem, "prelude": prelude})
