"""What programs do with cases: their answers, as values that came through the sandbox's pipe, or how they failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from cogitate.rewards.code.compare import VALUE_TOLERANCE, same_output
from cogitate.rewards.sandbox.data import same_value
from cogitate.rewards.sandbox.limits import Ending, Limits
from cogitate.rewards.sandbox.process import ProgramEndedError
from cogitate.rewards.sandbox.sandbox import Sandbox
from cogitate.tasks.written_tests.values import Args

SLOW: tuple[Ending, ...] = ("cpu", "wall")
PROCESSES = 3  # of a program that ends while it is called, before its remaining cases are left


@dataclass(frozen=True, slots=True)
class Seen:
    """What a program did with one case.

    Attributes:
        how: it gave a value, raised or gave something that is no value, took too long, or ended in another way; or the case
            was not reached, since the program had ended too often before.
    """

    how: Literal["value", "error", "slow", "ended", "not run"]
    value: Any = None


@dataclass(frozen=True, slots=True)
class Bench:
    """How the programs of one problem are run.

    Attributes:
        entry_point: the function that is called; None: programs read their standard input, and what they print is the value.
        limits: of one program; the seconds are for one case.
        exact: the tests are written as assertions, which compare by `==`.
    """

    sandbox: Sandbox
    entry_point: str | None
    limits: Limits
    exact: bool = False

    def observe(self, program: str, cases: Sequence[Args], *, processes: int = PROCESSES) -> list[Seen]:
        """What the program does with each case, in a fresh process (of calls, in one that goes on from case to case).

        Args:
            processes: of calls, how many are started before the remaining cases are not run; as many as cases run all.
        """
        return self._calls(program, cases, processes) if self.entry_point else [self._run(program, case) for case in cases]

    def same(self, expected: Any, got: Any) -> bool:
        """Whether two answers are equal as the tests will compare them."""
        if self.exact:
            return bool(expected == got)
        return same_value(expected, got, float_tolerance=VALUE_TOLERANCE) if self.entry_point else same_output(expected, got)

    def _run(self, program: str, case: Args) -> Seen:
        result = self.sandbox.run(program, stdin=case[0].encode("utf-8", "surrogatepass"), limits=self.limits)
        if result.ending != "exit":
            return Seen("slow" if result.ending in SLOW else "ended")
        if result.exit_code:
            return Seen("error")
        try:
            return Seen("value", result.stdout.decode())
        except UnicodeDecodeError:
            return Seen("error")

    def _calls(self, program: str, cases: Sequence[Args], processes: int) -> list[Seen]:
        seen: list[Seen] = []
        for _ in range(processes):
            if len(seen) == len(cases):
                break
            seen += self._some_calls(program, cases[len(seen) :])
        return seen + [Seen("not run")] * (len(cases) - len(seen))

    def _some_calls(self, program: str, cases: Sequence[Args]) -> list[Seen]:
        """What one process does, up to the case with which it ends: one at least."""
        seen: list[Seen] = []
        with self.sandbox.open(program, tests=len(cases) + 1, limits=self.limits) as process:
            try:
                if "error" in process.receive():
                    return [Seen("error")] * len(cases)
                for case in cases:
                    process.begin_test()
                    try:
                        process.send({"name": self.entry_point, "call": True, "args": case, "kwargs": {}})
                    except ValueError:  # no plain data
                        seen.append(Seen("error"))
                        continue
                    answer = process.receive()
                    seen.append(Seen("value", answer["value"]) if "value" in answer else Seen("error"))
            except ProgramEndedError as ended:
                seen.append(Seen("slow" if ended.ending in SLOW else "ended"))
        return seen


def case_limits(seconds: float, cases: int) -> Limits:
    """Limits under which a case counts as slow after so many seconds of processor time."""
    return replace(Limits(), cpu_seconds=seconds, wall_seconds=10 * seconds, total_seconds=max(60.0, 10 * seconds * cases))
