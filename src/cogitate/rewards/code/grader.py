"""The verdict on a program: is there one, does a linter object, do the tests hold for it, how much work does it do?"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.code.compare import printable
from cogitate.rewards.code.forms import Mode, ProgramTests
from cogitate.rewards.code.lint import lint_program
from cogitate.rewards.code.outcome import BadTestsError
from cogitate.rewards.code.prelude import implied_prelude, sandbox_with
from cogitate.rewards.code.program_text import extract_program
from cogitate.rewards.code.reference import check_reference, share_of_work
from cogitate.rewards.code.tests import run_tests
from cogitate.rewards.sandbox.isolation import Isolation, open_sandbox
from cogitate.rewards.sandbox.limits import Limits
from cogitate.rewards.sandbox.remote import RemoteSandbox
from cogitate.rewards.sandbox.sandbox import Sandbox
from cogitate.types import Verdict


def grade_code(
    completion_answer_text: str,
    *,
    tests: Sequence[Any] | str,
    mode: Mode = "function",
    entry_point: str | None = None,
    limits: Limits | Mapping[str, float] | None = None,
    partial: bool = False,
    weaker_tests: bool = False,
    lint: bool = False,
    reference: str | None = None,
    efficiency: float = 0.0,
    decimals: float | None = None,
    prelude: str | None = None,
    sandbox: Sandbox | RemoteSandbox | None = None,
    isolation: Isolation | None = None,
) -> Verdict:
    """Run the program of an answer against tests, in a sandbox.

    Args:
        completion_answer_text: the answer, its thinking already taken off; the program is its last Python code block.
        tests, mode, entry_point, decimals: see ProgramTests.
        limits: bounds of the program; or some of them by name, e.g. {"cpu_seconds": 3, "wall_seconds": 5}.
        partial: score the share of tests passed instead of all or nothing; the verdict is `right` only if all pass.
        weaker_tests: accept assertions that can only run beside the program (see `assertions.py`); not for rewards.
        lint: a program that a linter objects to is wrong before it runs (see `lint.py`).
        reference: a right program; tests that it fails give no verdict.
        efficiency: how much of a right program's score depends on its work, counted in executed instructions: the score is
            1 - efficiency * (1 - what the reference needs of them). Needs a reference.
        prelude: names that programs find: "leetcode", or Python source (see `prelude.py`). Where the problem says nothing, a
            program in LeetCode's form, whose entry point is a method of `class Solution`, finds LeetCode's; "" gives none.
        sandbox: the one to run in.
        isolation: which sandbox to take where none is given.

    Returns:
        `wrong` for every fault of the program; `none` where the tests cannot be used or no isolation can be had.
    """
    started = time.monotonic()

    def verdict(value: Literal["right", "wrong", "none"], score: float, reason: str, program: str | None = None) -> Verdict:
        return Verdict(value, score, printable(reason), program, time.monotonic() - started)

    program = extract_program(completion_answer_text)
    if program is None:
        return verdict("wrong", 0.0, "the answer has no Python code block")
    try:
        box = sandbox or open_sandbox(isolation or Isolation())
        prelude = prelude if prelude is not None else implied_prelude(program, entry_point)
        box = sandbox_with(box, prelude) if prelude else box
        try:
            wanted = ProgramTests(tests, mode, entry_point, Limits.of(limits, box.limits), decimals)
        except ValueError as error:
            raise BadTestsError(f"their limits: {error}") from error
        if lint and (complaint := first_complaint(program, box)):
            return verdict("wrong", 0.0, complaint, program)
        if reference is not None:
            check_reference(box, reference, wanted, weaker=weaker_tests)
        outcome = run_tests(box, program, wanted, weaker=weaker_tests, stop_early=not partial)
        share, work = 1.0, ""
        if efficiency and reference is not None and outcome.passed == outcome.total:
            share, work = share_of_work(box, program, reference, wanted)
    except BadTestsError as error:
        return verdict("none", 0.0, f"the tests cannot be used: {error}", program)
    except SandboxUnavailableError as error:
        return verdict("none", 0.0, f"no sandbox: {error}", program)
    if outcome.passed == outcome.total:
        weaker = " (weaker: they ran beside the program)" if outcome.weaker else ""
        score = 1.0 - efficiency * (1.0 - share)
        return verdict("right", score, f"all {outcome.total} tests pass{weaker}{work and '; '}{work}", program)
    return verdict("wrong", outcome.passed / outcome.total if partial else 0.0, outcome.trouble, program)


def first_complaint(program: str, box: Sandbox | RemoteSandbox) -> str | None:
    """What a linter objects to first. Raises BadTestsError, SandboxUnavailableError."""
    if isinstance(box, RemoteSandbox):
        raise BadTestsError("lint needs a sandbox of this machine")
    complaints = lint_program(program, box)
    return f"the linter objects: line {complaints[0].line}: {complaints[0].text}" if complaints else None
