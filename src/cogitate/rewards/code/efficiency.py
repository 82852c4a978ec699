"""How much work a right program does: the bytecode instructions it executes, counted in a traced run of its own.

Unlike seconds, the count is the same every time and on every machine with the same Python version. Work done inside C
functions (sorting, say) is not in it. The traced run must give the right answers too, so that a program that notices the
tracing gains nothing by doing less.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cogitate.rewards.code.compare import same_output
from cogitate.rewards.code.forms import (
    FunctionTest,
    ProgramTests,
    StdinTest,
    is_assertions,
    read_function_test,
    read_stdin_test,
)
from cogitate.rewards.code.outcome import BadTestsError
from cogitate.rewards.code.prelude import implied_prelude, sandbox_with
from cogitate.rewards.sandbox.data import same_value
from cogitate.rewards.sandbox.limits import Limits
from cogitate.rewards.sandbox.process import ProgramEndedError, SandboxProcess
from cogitate.rewards.sandbox.remote import RemoteSandbox
from cogitate.rewards.sandbox.sandbox import Sandbox

SLOWER_BY = 20  # how much more processor time a traced program may take
INSTRUCTION_LIMIT = 50_000_000
EXIT_REASONS = {99: "it reaches for the counting, or starts threads or processes", 98: "too many instructions to count"}


@dataclass(frozen=True, slots=True)
class InstructionCount:
    """Instructions over all tests, the program's loading included; None where they could not be counted, and why."""

    instructions: int | None
    reason: str = ""


def can_count(fields: Mapping[str, Any]) -> bool:
    """Whether the work of programs can be counted for a problem of kind code with these fields: not by assertions."""
    return not is_assertions(fields["tests"])


def count_work(program: str, fields: Mapping[str, Any], sandbox: Sandbox) -> InstructionCount:
    """Count what a right program executes for the tests of a problem of kind code, which `can_count` has accepted.

    Args:
        fields: the problem's, as the grader reads them: tests, mode, entry point, limits, tolerance, prelude.
        sandbox: one of this machine.

    Raises:
        BadTestsError: the tests, limits or prelude cannot be used.
        SandboxUnavailableError: no isolation can be had.
    """
    entry_point, prelude = fields.get("entry_point"), fields.get("prelude")
    prelude = implied_prelude(program, entry_point) if prelude is None else prelude
    box = sandbox_with(sandbox, prelude) if prelude else sandbox
    assert not isinstance(box, RemoteSandbox), "a prelude leaves a sandbox where it is"
    limits = Limits.of(fields.get("limits"), box.limits)
    tests = ProgramTests(fields["tests"], fields["mode"], entry_point, limits, fields.get("decimals"))
    return count_instructions(program, tests, box)


def count_instructions(program: str, tests: ProgramTests, sandbox: Sandbox) -> InstructionCount:
    """Count what a right program executes for these tests (pairs or stdin tests; assertions are not counted).

    Raises:
        BadTestsError: tests of another form.
        SandboxUnavailableError: no isolation can be had.
    """
    traced = replace(tests, limits=traced_limits(tests.limits))
    if tests.mode == "stdin":
        return _count_scripts(sandbox, program, [read_stdin_test(case) for case in tests.cases], traced)
    if tests.entry_point is None:
        raise BadTestsError("function mode needs an entry_point")
    return _count_calls(sandbox, program, [read_function_test(case) for case in tests.cases], traced)


def traced_limits(limits: Limits) -> Limits:
    return replace(
        limits,
        cpu_seconds=limits.cpu_seconds * SLOWER_BY,
        wall_seconds=limits.wall_seconds * SLOWER_BY,
        total_seconds=limits.total_seconds * SLOWER_BY,
        processes=1,  # the kernel refuses threads and processes, whose work would not be counted
    )


def _count_calls(sandbox: Sandbox, program: str, calls: list[FunctionTest], tests: ProgramTests) -> InstructionCount:
    orders = _orders(program, script=False)
    with sandbox.open_extension("tracer", orders, tests=len(calls) + 1, limits=tests.limits, alone=True) as process:
        try:
            process.receive()
            for call in calls:
                process.begin_test()
                process.send({"name": tests.entry_point, "args": call.args, "kwargs": call.kwargs})
                answer = process.receive()
                if "value" not in answer or not same_value(call.expected, answer["value"], float_tolerance=tests.tolerance):
                    return InstructionCount(None, "the traced run gives another answer")
            process.send({"name": None})
            return _read_count(process, orders["secret"])
        except ProgramEndedError as ended:
            return _uncounted(ended)


def _count_scripts(sandbox: Sandbox, program: str, cases: list[StdinTest], tests: ProgramTests) -> InstructionCount:
    total = 0
    for case in cases:
        orders = _orders(program, script=True)
        data = case.input.encode("utf-8", "surrogatepass")
        with sandbox.open_extension("tracer", orders, limits=tests.limits, stdin=data, alone=True) as process:
            try:
                count = _read_count(process, orders["secret"])
            except ProgramEndedError as ended:
                return _uncounted(ended)
            printed = process.finish().stdout.decode("utf-8", "replace")
        if count.instructions is None or not same_output(case.output, printed, tolerance=tests.tolerance):
            return InstructionCount(None, count.reason or "the traced run gives another answer")
        total += count.instructions
    return InstructionCount(total)


def _orders(program: str, *, script: bool) -> dict[str, Any]:
    return {"program": program, "script": script, "secret": secrets.token_hex(16), "instruction_limit": INSTRUCTION_LIMIT}


def _read_count(process: SandboxProcess, secret: str) -> InstructionCount:
    answer = process.receive().get("value")
    if isinstance(answer, list) and len(answer) == 2 and answer[0] == secret and isinstance(answer[1], int):
        assert answer[1] > 0, "a program that ran has executed something"
        return InstructionCount(answer[1])
    return InstructionCount(None, "the count was forged")


def _uncounted(ended: ProgramEndedError) -> InstructionCount:
    return InstructionCount(None, EXIT_REASONS.get(ended.exit_code or 0, f"the traced run ended early ({ended.ending})"))
