"""Running a program against tests: argument and result pairs, standard input and output, or assertions.

What is expected never enters the sandbox: the program only ever sees the inputs, and its answers, plain data that came
through a pipe, are compared out here. So a program can forge nothing but its own answers. (Assertions are source code and
need a process of their own: see `assertions.py`.)
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from cogitate.rewards.code.assertions import read_assertions, run_assertion_tests
from cogitate.rewards.code.compare import same_output, shorten
from cogitate.rewards.code.forms import (
    FunctionTest,
    ProgramTests,
    StdinTest,
    is_assertions,
    read_function_test,
    read_stdin_test,
)
from cogitate.rewards.code.outcome import ENDINGS, BadTestsError, Outcome, load_trouble
from cogitate.rewards.sandbox.data import same_value
from cogitate.rewards.sandbox.limits import Limits, RunResult
from cogitate.rewards.sandbox.process import ProgramEndedError, SandboxProcess
from cogitate.rewards.sandbox.remote import RemoteSandbox
from cogitate.rewards.sandbox.sandbox import Sandbox


def run_tests(
    box: Sandbox | RemoteSandbox, program: str, tests: ProgramTests, *, weaker: bool = False, stop_early: bool = True
) -> Outcome:
    """Run one program against tests of any form. Raises BadTestsError, SandboxUnavailableError."""
    cases, entry_point = tests.cases, tests.entry_point
    if not cases:
        raise BadTestsError("there are none")
    if tests.mode == "stdin":
        return run_stdin_tests(box, program, [read_stdin_test(case) for case in cases], tests, stop_early=stop_early)
    if tests.mode != "function":
        raise BadTestsError(f"mode is {tests.mode!r}; it must be function or stdin")
    if is_assertions(cases):
        if isinstance(box, RemoteSandbox):
            raise BadTestsError("a remote sandbox runs pairs and stdin tests, not assertions")
        assertions = read_assertions(cases, entry_point)
        return run_assertion_tests(box, program, assertions, tests.limits, weaker=weaker, stop_early=stop_early)
    if entry_point is None:
        raise BadTestsError("function mode needs an entry_point")
    calls = Calls(entry_point, [read_function_test(case) for case in cases], tests.limits, tests.tolerance)
    if isinstance(box, RemoteSandbox):
        return run_remote_function_tests(box, program, calls)
    return run_function_tests(box, program, calls, stop_early=stop_early)


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one function, and how far a number in their results may be off."""

    entry_point: str
    tests: list[FunctionTest]
    limits: Limits
    tolerance: float


def run_function_tests(box: Sandbox, program: str, calls: Calls, *, stop_early: bool) -> Outcome:
    """Load the program once and call its function for each test, in order."""
    passed, trouble, total = 0, "", len(calls.tests)
    with box.open(program, tests=total + 1, limits=calls.limits) as process:
        try:
            loaded = process.receive()
        except ProgramEndedError as ended:
            return Outcome(0, total, f"loading the program failed: it {ENDINGS[ended.ending]}")
        if "error" in loaded:
            return Outcome(0, total, load_trouble(loaded["error"]))
        for number, test in enumerate(calls.tests, 1):
            try:
                complaint = call_once(process, calls, test)
            except ProgramEndedError as ended:
                why = f"test {number} of {total} fails: the program {ENDINGS[ended.ending]}"
                return Outcome(passed, total, trouble or why)
            if complaint is None:
                passed += 1
            else:
                trouble = trouble or f"test {number} of {total} fails: {complaint}"
                if stop_early:
                    break
    return Outcome(passed, total, trouble)


def call_once(process: SandboxProcess, calls: Calls, test: FunctionTest) -> str | None:
    """One test: None where it passes, else what is wrong. Raises ProgramEndedError."""
    process.begin_test()
    try:
        process.send({"name": calls.entry_point, "call": True, "args": test.args, "kwargs": test.kwargs})
    except ValueError as error:
        raise BadTestsError(f"arguments must be plain data: {error}") from error
    return judge_answer(calls, test, process.receive())


def judge_answer(calls: Calls, test: FunctionTest, answer: dict[str, Any]) -> str | None:
    """None where a call's answer is the expected one, else what is wrong."""
    call = f"{calls.entry_point}({', '.join(shorten(arg) for arg in test.args)})"
    if "error" in answer:
        return f"{call} raised or gave {answer['error']}"
    if not same_value(test.expected, answer["value"], float_tolerance=calls.tolerance):
        return f"{call} gave {shorten(answer['value'])}, expected {shorten(test.expected)}"
    return None


def run_remote_function_tests(box: RemoteSandbox, program: str, calls: Calls) -> Outcome:
    """All calls in one run on another machine."""
    tests = calls.tests
    answers, result = box.call(program, calls.entry_point, [(test.args, test.kwargs) for test in tests], calls.limits)
    complaints = [judge_answer(calls, test, answer) for test, answer in zip(tests, answers, strict=False)]
    if len(answers) < len(tests):
        why = compare_ending(result) or "the program ended before it answered"
        complaints.append(why)
    number = next((index for index, complaint in enumerate(complaints, 1) if complaint is not None), 0)
    trouble = f"test {number} of {len(tests)} fails: {complaints[number - 1]}" if number else ""
    return Outcome(complaints.count(None), len(tests), trouble)


def run_stdin_tests(
    box: Sandbox | RemoteSandbox, program: str, cases: list[StdinTest], tests: ProgramTests, *, stop_early: bool
) -> Outcome:
    """Run the program afresh for each case and compare what it printed."""
    passed, trouble = 0, ""
    deadline = time.monotonic() + tests.limits.total_seconds
    for number, case in enumerate(cases, 1):
        left = replace(tests.limits, total_seconds=deadline - time.monotonic())
        result = box.run(program, stdin=case.input.encode("utf-8", "surrogatepass"), limits=left)
        complaint = compare_run(result, case, tests.tolerance)
        if complaint is None:
            passed += 1
        else:
            trouble = trouble or f"test {number} of {len(cases)} fails: {complaint}"
            if stop_early:
                break
    return Outcome(passed, len(cases), trouble)


def compare_run(result: RunResult, case: StdinTest, tolerance: float) -> str | None:
    """None where a run ended well and printed what is expected, else what is wrong."""
    if (complaint := compare_ending(result)) is not None:
        return complaint
    try:
        printed = result.stdout.decode("utf-8")
    except UnicodeDecodeError:
        return f"the output is not UTF-8: {shorten(result.stdout)}"
    if not same_output(case.output, printed, tolerance=tolerance):
        return f"on input {shorten(case.input)} it printed {shorten(printed)}, expected {shorten(case.output)}"
    return None


def compare_ending(result: RunResult) -> str | None:
    """None where a run ended by itself and well, else what is wrong."""
    if result.ending != "exit":
        return f"the program {ENDINGS[result.ending]}"
    if result.exit_code != 0:
        last = result.stderr.decode("utf-8", "backslashreplace").strip().rpartition("\n")[2]
        return f"the program ended with exit code {result.exit_code}: {last[:200]}"
    return None
