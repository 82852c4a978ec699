"""Running a program against tests: argument and result pairs, standard input and output, or assertions.

What is expected never enters the sandbox: the program only ever sees the inputs, and its answers, plain data that came
through a pipe, are compared out here. So a program can forge nothing but its own answers. (Assertions are source code and
need a process of their own: see `assertions.py`.)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cogitate.rewards.code.assertions import read_assertions, run_assertion_tests
from cogitate.rewards.code.compare import FLOAT_TOLERANCE, same_output, shorten
from cogitate.rewards.code.forms import FunctionTest, StdinTest, is_assertions, read_function_test, read_stdin_test
from cogitate.rewards.code.outcome import ENDINGS, BadTestsError, Outcome, load_trouble
from cogitate.rewards.sandbox.data import same_value
from cogitate.rewards.sandbox.limits import Limits, RunResult
from cogitate.rewards.sandbox.process import ProgramEndedError, SandboxProcess
from cogitate.rewards.sandbox.remote import RemoteSandbox
from cogitate.rewards.sandbox.sandbox import Sandbox


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
