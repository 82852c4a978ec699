"""What running a program's tests showed, and whose fault it can be."""

from __future__ import annotations

from dataclasses import dataclass

from cogitate.rewards.sandbox.limits import Ending

ENDINGS: dict[Ending, str] = {
    "exit": "ended before it answered",
    "cpu": "used more processor time than allowed",
    "wall": "took longer than allowed",
    "memory": "used more memory or disk than allowed",
    "output": "wrote more than allowed",
    "protocol": "sent something that is no answer",
}


def load_trouble(error: str) -> str:
    """Why a program did not load, from the error's text: whether it is Python at all, or fails while it runs."""
    kind = error.partition(":")[0]
    return f"not Python: {error}" if kind in ("SyntaxError", "IndentationError", "TabError") else f"it does not load: {error}"


class BadTestsError(ValueError):
    """Tests that cannot be used: a fault of the reference, so no verdict."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program did.

    Attributes:
        passed, total: tests, of those that could be decided.
        trouble: the first thing that went wrong.
        weaker: the tests ran beside the program.
        undecided: tests that could not be decided apart from the program.
    """

    passed: int
    total: int
    trouble: str = ""
    weaker: bool = False
    undecided: int = 0
