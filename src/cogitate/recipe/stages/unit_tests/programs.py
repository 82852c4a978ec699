"""The programs that tests are written against, and the row of a problem with its further tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cogitate.recipe.data.candidates import Candidate
from cogitate.rewards.code.efficiency import can_count, count_work
from cogitate.rewards.code.forms import is_assertions
from cogitate.rewards.code.program_text import extract_program
from cogitate.rewards.sandbox.sandbox import Sandbox
from cogitate.tasks.written_tests.mutants import mutants_of
from cogitate.tasks.written_tests.suites import KIMI_PROGRAMS, Suite
from cogitate.tasks.written_tests.values import literal
from cogitate.types import PLACE, Problem


def programs_of(problem: Problem, candidates: Sequence[Candidate], *, mutants: int, seed: int) -> tuple[list[str], list[str]]:
    """(good programs, the reference first and ten at most; faulty ones), each of them different.

    Args:
        candidates: completions of the problem, graded by its own tests.
        mutants: how many are made, taken from each good program in turn.
    """
    reference = problem.fields.get("reference_program")
    texts = [extract_program(reference) or reference] if reference else []
    texts += [one.extracted for one in candidates if one.verdict == "right" and one.extracted]
    good = list(dict.fromkeys(text.replace("\r\n", "\n").strip() for text in texts))[:KIMI_PROGRAMS]
    wrong = [one.extracted for one in candidates if one.verdict == "wrong" and one.extracted]
    changed = [mutants_of(program, mutants, seed) for program in good]
    in_turn = [group[place] for place in range(mutants) for group in changed if place < len(group)][:mutants]
    faulty = [program for program in dict.fromkeys([*wrong, *in_turn]) if program not in good]
    return good, faulty


def test_row(problem: Problem, suite: Suite) -> dict[str, Any]:
    """A problem as a file of problems has it, its own tests first."""
    fields = {key: value for key, value in problem.fields.items() if key != PLACE}
    tests = fields["tests"]
    if problem.fields["mode"] == "stdin":
        further: list[Any] = [{"input": case.args[0], "output": case.expected} for case in suite.cases]
    elif is_assertions(tests):
        entry = fields["entry_point"]
        further = [f"assert {entry}({', '.join(map(literal, case.args))}) == {literal(case.expected)}" for case in suite.cases]
    else:
        further = [{"args": list(case.args), "expected": case.expected} for case in suite.cases]
    own = [tests] if isinstance(tests, str) else list(tests)
    return {
        "id": problem.id, "question": problem.question, "kind": "code", "language": problem.language, **fields,
        "tests": [*own, *further], "written_tests": len(further),
    }  # fmt: skip


def with_least_work(row: dict[str, Any], good: Sequence[str], efficiency: float, sandbox: Sandbox) -> None:
    """Add, in place, the good program that executes the fewest instructions for the tests, with which others are compared.

    Nothing is added where the tests are assertions, of which no instructions are counted.
    """
    if not can_count(row):
        return
    counted = [(count_work(program, row, sandbox).instructions, program) for program in good]
    known = [(count, number, program) for number, (count, program) in enumerate(counted) if count is not None]
    if known:
        row |= {"reference_program": min(known)[2], "efficiency": efficiency}
