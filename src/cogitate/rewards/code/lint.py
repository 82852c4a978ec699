"""The first stage of judging a program: is it Python, and does a linter object? Nothing of it is run."""

from __future__ import annotations

from dataclasses import dataclass

from cogitate.rewards.sandbox.process import ProgramEndedError
from cogitate.rewards.sandbox.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, and in which line (0 where no line can be named)."""

    line: int
    text: str


def lint_program(program: str, sandbox: Sandbox) -> list[Complaint]:
    """Syntax errors, names that nothing defines, and what Python itself warns of; the source is parsed in the sandbox.

    Raises:
        SandboxUnavailableError: no isolation can be had.
    """
    with sandbox.open_extension("linter", {"program": program}) as process:
        try:
            found = process.receive().get("value")
        except ProgramEndedError:
            return [Complaint(0, "not Python: its parsing exceeds a limit")]
    assert isinstance(found, list), "the linter runs no code but ours"
    return [Complaint(line, text) for line, text in found]
