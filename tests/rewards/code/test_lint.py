"""The linter's stage reads a program in the sandbox and runs none of it."""

import pytest

from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.code.lint import Complaint, lint_program
from cogitate.rewards.sandbox.sandbox import Sandbox, SandboxLevel, detect_level

pytestmark = pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")


@pytest.fixture(scope="module")
def box() -> Sandbox:
    return Sandbox()


def test_a_clean_program_has_no_complaints(box: Sandbox) -> None:
    program = (
        "import os.path as p\nfrom typing import List as L\nclass A:\n    x: int = 1\n"
        "def f(a, *b, c=1, **d):\n    try:\n        return [i for i in b if (j := i)] + [a, c, d, p, L, A, j]\n"
        "    except ValueError as e:\n        print(e)\n"
        "    match a:\n        case {'k': v, **rest}:\n            return v, rest\n"
        "if __name__ == '__main__':\n    print(f(1), __file__)"
    )
    assert lint_program(program, box) == []


def test_names_that_nothing_defines_are_found_without_running(box: Sandbox) -> None:
    program = "def f(x):\n    return helper(x) + math.pi\nwhile True: pass"
    assert lint_program(program, box) == [
        Complaint(2, "name 'helper' is never defined"),
        Complaint(2, "name 'math' is never defined"),
    ]
    assert lint_program("from math import *\nprint(floor(1.5))", box) == []


def test_what_is_not_python_is_said_with_its_line(box: Sandbox) -> None:
    (complaint,) = lint_program("x = 1\ndef f(:\n", box)
    assert (complaint.line, complaint.text.partition(":")[0]) == (2, "not Python")
    assert lint_program("x = '\0'", box)[0].text.startswith("not Python")
    assert lint_program("x = " + "0+" * 40_000 + "0", box)[0].text.startswith("not Python")


def test_what_python_warns_of_is_a_complaint(box: Sandbox) -> None:
    assert [complaint.line for complaint in lint_program("x = 1\nif x is 1: pass", box)] == [2]


def test_the_verdict_tells_the_stages_apart(box: Sandbox) -> None:
    def reason(program: str) -> str:
        return grade_code(f"```python\n{program}\n```", entry_point="f", tests=[[1, 1]], sandbox=box).reason

    assert reason("def f(:").startswith("not Python: SyntaxError")
    assert reason("import nothing_of_this_name").startswith("it does not load: ModuleNotFoundError")
    assert reason("def g(x): return x").startswith("test 1 of 1 fails: f(1) raised or gave NameError")
    assert reason("def f(x): return 2").startswith("test 1 of 1 fails: f(1) gave 2, expected 1")
