"""Grading programs by tests: argument and result pairs, standard input and output, or assertions.

What is expected never enters the sandbox: the program only ever sees the inputs, and its answers, plain data that came
through a pipe, are compared out here. So a program can forge nothing but its own answers. (Assertions are source code and
need a process of their own: see `assertions.py`.)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from cogitate.errors import SandboxUnavailableError
from cogitate.rewards.code.assertions import read_assertions, run_assertion_tests
from cogitate.rewards.code.compare import FLOAT_TOLERANCE, printable, same_output, shorten
from cogitate.rewards.code.forms import FunctionTest, StdinTest, is_assertions, read_function_test, read_stdin_test
from cogitate.rewards.code.lint import lint_program
from cogitate.rewards.code.outcome import ENDINGS, BadTestsError, Outcome, load_trouble
from cogitate.rewards.code.program_text import extract_program
from cogitate.rewards.sandbox.data import same_value
from cogitate.rewards.sandbox.isolation import Isolation, open_sandbox
from cogitate.rewards.sandbox.limits import Limits, RunResult
from cogitate.rewards.sandbox.process import ProgramEndedError, SandboxProcess
from cogitate.rewards.sandbox.remote import RemoteSandbox
from cogitate.rewards.sandbox.sandbox import Sandbox
from cogitate.types import Verdict

Mode = Literal["function", "stdin"]


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
    sandbox: Sandbox | RemoteSandbox | None = None,
    isolation: Isolation | None = None,
) -> Verdict:
    """Run the program of an answer against tests, in a sandbox.

    Args:
        completion_answer_text: the answer, its thinking already taken off; the program is its last Python code block.
        tests: function mode: {"args": [...], "expected": ...}, or pairs, in which a list is always the argument list and
            anything else the one argument; or assertion source, one text or a list of them; stdin mode:
            {"input": text, "output": text}.
        mode: "function" calls `entry_point`; "stdin" runs the program once for each test.
        limits: bounds of the program; or some of them by name, e.g. {"cpu_seconds": 3, "wall_seconds": 5}.
        partial: score the share of tests passed instead of all or nothing; the verdict is `right` only if all pass.
        weaker_tests: accept assertions that can only run beside the program (see `assertions.py`); not for rewards.
        lint: a program that a linter objects to is wrong before it runs (see `lint.py`).
        reference: a right program; tests that it fails give no verdict.
        efficiency: how much of a right program's score depends on its work, counted in executed instructions: the score is
            1 - efficiency * (1 - what the reference needs of them). Needs a reference.
        sandbox: the one to run in.
        isolation: which sandbox to take where none is given.

    Returns:
        `wrong` for every fault of the program; `none` where the tests cannot be used or no isolation can be had.
    """
    started = time.monotonic()

    def verdict(value: Literal["right", "wrong", "none"], score: float, reason: str, program: str | None = None) -> Verdict:
        return Verdict(value, score, printable(reason), program, time.monotonic() - started)

    from cogitate.rewards.code.reference import check_reference, share_of_work  # it runs tests by this file

    program = extract_program(completion_answer_text)
    if program is None:
        return verdict("wrong", 0.0, "the answer has no Python code block")
    try:
        box = sandbox or open_sandbox(isolation or Isolation())
        try:
            bounds = Limits.of(limits, box.limits)
        except ValueError as error:
            raise BadTestsError(f"their limits: {error}") from error
        if lint and (complaint := first_complaint(program, box)):
            return verdict("wrong", 0.0, complaint, program)
        if reference is not None:
            check_reference(box, reference, mode, entry_point, tests, bounds, weaker=weaker_tests)
        outcome = run_tests(box, program, mode, entry_point, tests, bounds, weaker=weaker_tests, stop_early=not partial)
        share, work = 1.0, ""
        if efficiency and reference is not None and outcome.passed == outcome.total:
            share, work = share_of_work(box, program, reference, mode, entry_point, tests, bounds)
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


def run_tests(
    box: Sandbox | RemoteSandbox,
    program: str,
    mode: str,
    entry_point: str | None,
    tests: Sequence[Any] | str,
    limits: Limits,
    *,
    weaker: bool = False,
    stop_early: bool = True,
) -> Outcome:
    """Run one program against tests of any form. Raises BadTestsError, SandboxUnavailableError."""
    if not tests:
        raise BadTestsError("there are none")
    if mode == "stdin":
        return run_stdin_tests(box, program, [read_stdin_test(test) for test in tests], limits, stop_early=stop_early)
    if mode != "function":
        raise BadTestsError(f"mode is {mode!r}; it must be function or stdin")
    if is_assertions(tests):
        if isinstance(box, RemoteSandbox):
            raise BadTestsError("a remote sandbox runs pairs and stdin tests, not assertions")
        assertions = read_assertions(tests, entry_point)
        return run_assertion_tests(box, program, assertions, limits, weaker=weaker, stop_early=stop_early)
    if entry_point is None:
        raise BadTestsError("function mode needs an entry_point")
    calls = [read_function_test(test) for test in tests]
    if isinstance(box, RemoteSandbox):
        return run_remote_function_tests(box, program, entry_point, calls, limits)
    return run_function_tests(box, program, entry_point, calls, limits, stop_early=stop_early)


def run_function_tests(
    box: Sandbox, program: str, entry_point: str, tests: list[FunctionTest], limits: Limits, *, stop_early: bool
) -> Outcome:
    """Load the program once and call its function for each test, in order."""
    passed, trouble = 0, ""
    with box.open(program, tests=len(tests) + 1, limits=limits) as process:
        try:
            loaded = process.receive()
        except ProgramEndedError as ended:
            return Outcome(0, len(tests), f"loading the program failed: it {ENDINGS[ended.ending]}")
        if "error" in loaded:
            return Outcome(0, len(tests), load_trouble(loaded["error"]))
        for number, test in enumerate(tests, 1):
            try:
                complaint = call_once(process, entry_point, test)
            except ProgramEndedError as ended:
                why = f"test {number} of {len(tests)} fails: the program {ENDINGS[ended.ending]}"
                return Outcome(passed, len(tests), trouble or why)
            if complaint is None:
                passed += 1
            else:
                trouble = trouble or f"test {number} of {len(tests)} fails: {complaint}"
                if stop_early:
                    break
    return Outcome(passed, len(tests), trouble)


def call_once(process: SandboxProcess, entry_point: str, test: FunctionTest) -> str | None:
    """One test: None where it passes, else what is wrong. Raises ProgramEndedError."""
    process.begin_test()
    try:
        process.send({"name": entry_point, "call": True, "args": test.args, "kwargs": test.kwargs})
    except ValueError as error:
        raise BadTestsError(f"arguments must be plain data: {error}") from error
    return judge_answer(entry_point, test, process.receive())


def judge_answer(entry_point: str, test: FunctionTest, answer: dict[str, Any]) -> str | None:
    """None where a call's answer is the expected one, else what is wrong."""
    call = f"{entry_point}({', '.join(shorten(arg) for arg in test.args)})"
    if "error" in answer:
        return f"{call} raised or gave {answer['error']}"
    if not same_value(test.expected, answer["value"], float_tolerance=FLOAT_TOLERANCE):
        return f"{call} gave {shorten(answer['value'])}, expected {shorten(test.expected)}"
    return None


def run_remote_function_tests(
    box: RemoteSandbox, program: str, entry_point: str, tests: list[FunctionTest], limits: Limits
) -> Outcome:
    """All calls in one run on another machine."""
    answers, result = box.call(program, entry_point, [(test.args, test.kwargs) for test in tests], limits)
    complaints = [judge_answer(entry_point, test, answer) for test, answer in zip(tests, answers, strict=False)]
    if len(answers) < len(tests):
        why = compare_ending(result) or "the program ended before it answered"
        complaints.append(why)
    number = next((index for index, complaint in enumerate(complaints, 1) if complaint is not None), 0)
    trouble = f"test {number} of {len(tests)} fails: {complaints[number - 1]}" if number else ""
    return Outcome(complaints.count(None), len(tests), trouble)


def run_stdin_tests(
    box: Sandbox | RemoteSandbox, program: str, tests: list[StdinTest], limits: Limits, *, stop_early: bool
) -> Outcome:
    """Run the program afresh for each test and compare what it printed."""
    passed, trouble = 0, ""
    deadline = time.monotonic() + limits.total_seconds
    for number, test in enumerate(tests, 1):
        left = replace(limits, total_seconds=deadline - time.monotonic())
        result = box.run(program, stdin=test.input.encode("utf-8", "surrogatepass"), limits=left)
        complaint = compare_run(result, test)
        if complaint is None:
            passed += 1
        else:
            trouble = trouble or f"test {number} of {len(tests)} fails: {complaint}"
            if stop_early:
                break
    return Outcome(passed, len(tests), trouble)


def compare_run(result: RunResult, test: StdinTest) -> str | None:
    """None where a run ended well and printed what is expected, else what is wrong."""
    if (complaint := compare_ending(result)) is not None:
        return complaint
    try:
        printed = result.stdout.decode("utf-8")
    except UnicodeDecodeError:
        return f"the output is not UTF-8: {shorten(result.stdout)}"
    if not same_output(test.output, printed):
        return f"on input {shorten(test.input)} it printed {shorten(printed)}, expected {shorten(test.output)}"
    return None


def compare_ending(result: RunResult) -> str | None:
    """None where a run ended by itself and well, else what is wrong."""
    if result.ending != "exit":
        return f"the program {ENDINGS[result.ending]}"
    if result.exit_code != 0:
        last = result.stderr.decode("utf-8", "backslashreplace").strip().rpartition("\n")[2]
        return f"the program ended with exit code {result.exit_code}: {last[:200]}"
    return None
