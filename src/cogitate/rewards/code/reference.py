"""A reference program beside the tests: do they hold for it, and how much more work does another right program do?

Tests may come from anybody, another model too; where there is a reference they are believed only if it passes them.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import lru_cache

from cogitate.rewards.code.efficiency import SLOWER_BY, InstructionCount, count_instructions
from cogitate.rewards.code.forms import ProgramTests, is_assertions
from cogitate.rewards.code.outcome import BadTestsError, Outcome
from cogitate.rewards.code.program_text import extract_program
from cogitate.rewards.code.tests import run_tests
from cogitate.rewards.sandbox.remote import RemoteSandbox
from cogitate.rewards.sandbox.sandbox import Sandbox


def check_reference(box: Sandbox | RemoteSandbox, reference: str, tests: ProgramTests, *, weaker: bool) -> None:
    """Raises BadTestsError where the reference fails the tests. Its verdict is kept for the next completion."""
    outcome = _outcome_of_reference(box, pickle.dumps((reference, tests, weaker)))
    if outcome.passed < outcome.total:
        raise BadTestsError(f"the reference fails them: {outcome.trouble}")


def share_of_work(box: Sandbox | RemoteSandbox, program: str, reference: str, tests: ProgramTests) -> tuple[float, str]:
    """What the reference needs of a right program's instructions, at most 1, and one sentence about it.

    Raises:
        BadTestsError: assertions, or a remote sandbox, where nothing can be counted.
    """
    if isinstance(box, RemoteSandbox) or is_assertions(tests.cases):
        raise BadTestsError("efficiency is counted for pairs and stdin tests, in a sandbox of this machine")
    wanted = _work_of_reference(box, pickle.dumps((reference, tests)))
    if wanted.instructions is None:
        raise BadTestsError(f"the reference's work cannot be counted: {wanted.reason}")
    own = _count(box, program, tests)
    if own.instructions is None:
        return 0.0, f"its work cannot be counted: {own.reason}"
    sentence = f"{own.instructions} instructions, the reference needs {wanted.instructions}"
    return min(1.0, wanted.instructions / own.instructions), sentence


@lru_cache(maxsize=1024)
def _outcome_of_reference(box: Sandbox | RemoteSandbox, key: bytes) -> Outcome:
    reference, tests, weaker = pickle.loads(key)
    return run_tests(box, _source(reference), tests, weaker=weaker)


@lru_cache(maxsize=1024)
def _work_of_reference(box: Sandbox, key: bytes) -> InstructionCount:
    reference, tests = pickle.loads(key)
    return _count(box, _source(reference), tests)


def _count(box: Sandbox, program: str, tests: ProgramTests) -> InstructionCount:
    bounded = replace(tests.limits, total_seconds=tests.limits.total_seconds / SLOWER_BY)  # all of a verdict has a limit too
    return count_instructions(program, replace(tests, limits=bounded), box)


def _source(reference: str) -> str:
    return extract_program(reference) or reference
