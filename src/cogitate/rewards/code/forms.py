"""The forms in which tests of programs are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from cogitate.rewards.code.compare import PRINTED_TOLERANCE, VALUE_TOLERANCE, shorten
from cogitate.rewards.code.outcome import BadTestsError
from cogitate.rewards.sandbox.limits import Limits

Mode = Literal["function", "stdin"]


@dataclass(frozen=True, slots=True)
class ProgramTests:
    """What a program has to do, as its problem says it.

    Attributes:
        cases: function mode: {"args": [...], "expected": ...}, or pairs, in which a list is always the argument list and
            anything else the one argument; or assertion source, one text or a list of them; stdin mode:
            {"input": text, "output": text}.
        mode: "function" calls `entry_point`; "stdin" runs the program once for each case.
        limits: bounds of the program.
        decimals: how far a number may be off, relative or absolute; None for the mode's usual tolerance.
    """

    cases: Sequence[Any] | str
    mode: str
    entry_point: str | None
    limits: Limits
    decimals: float | None = None

    @property
    def tolerance(self) -> float:
        if self.decimals is not None:
            return self.decimals
        return PRINTED_TOLERANCE if self.mode == "stdin" else VALUE_TOLERANCE


def check_forms(tests: Sequence[Any] | str, mode: str) -> None:
    """Raises BadTestsError where a test is of no known form."""
    if mode == "function" and is_assertions(tests):
        return
    for test in tests:
        read_stdin_test(test) if mode == "stdin" else read_function_test(test)


@dataclass(frozen=True, slots=True)
class FunctionTest:
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expected: Any


@dataclass(frozen=True, slots=True)
class StdinTest:
    input: str
    output: str


def is_assertions(tests: Sequence[Any] | str) -> TypeGuard[str | Sequence[str]]:
    """Assertion source rather than pairs: one text, or a list of nothing but texts."""
    return isinstance(tests, str) or all(isinstance(test, str) for test in tests)


def read_function_test(test: Any) -> FunctionTest:
    if isinstance(test, Mapping) and "expected" in test and ("args" in test or "kwargs" in test):
        args, kwargs = test.get("args", []), test.get("kwargs", {})
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
            raise BadTestsError(f"args is a list and kwargs an object, not {shorten(test)}")
        return FunctionTest(tuple(args), dict(kwargs), test["expected"])
    if isinstance(test, list | tuple) and len(test) == 2:
        args, expected = test
        return FunctionTest(tuple(args) if isinstance(args, list) else (args,), {}, expected)
    raise BadTestsError(f'a function test is {{"args": [...], "expected": ...}} or a pair, not {shorten(test)}')


def read_stdin_test(test: Any) -> StdinTest:
    if isinstance(test, Mapping) and isinstance(test.get("input"), str) and isinstance(test.get("output"), str):
        return StdinTest(test["input"], test["output"])
    raise BadTestsError(f'a stdin test is {{"input": text, "output": text}}, not {shorten(test)}')
