"""Which proposed cases become tests: good programs agree on them, and mutants fail them.

Where there are ten good programs, the rule is Kimi K1.5's (arXiv:2501.12599, section 2.3.3): a case needs seven of ten equal
answers, and the suite is kept if nine of ten programs pass all of it. Where there are fewer, all of them must agree on each
case. Every proposed case has one fate: it is kept, or the ledger says why not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cogitate.tasks.written_tests.observing import Bench, Seen
from cogitate.tasks.written_tests.values import Args, is_writable, literal

KIMI_PROGRAMS, AGREE, PASS_ALL = 10, 7, 9
SEVEN_OF_TEN = "7 of 10 good programs agree, 9 of 10 pass all"
ALL_AGREE = "all good programs agree"
KEPT = "kept"
DUPLICATE, SLOW, UNSTABLE = "duplicate", "slow", "not deterministic"
DISAGREE, FAIL, FEW_PASS = "good programs disagree", "good programs fail", "fewer than 9 of 10 good programs pass all"
UNWRITABLE = "cannot be written as a value"
NO_MUTANT, ENOUGH = "no mutant fails it", "enough cases"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A case and where it comes from: "model" or "changed values"."""

    args: Args
    source: str


@dataclass(frozen=True, slots=True)
class KeptCase:
    """A test.

    Attributes:
        expected: what the good programs answer.
        rejects: how many of the faulty programs fail it.
    """

    args: Args
    expected: Any
    source: str
    rejects: int


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of one problem.

    Attributes:
        rule: by which good programs had to agree.
        fates: of each proposal, in their order: KEPT or why it was dropped.
        accepted_by_public: faulty programs that pass all public cases. rejected: those of them that fail a kept case.
    """

    cases: tuple[KeptCase, ...]
    rule: str
    fates: tuple[str, ...]
    good_programs: int
    faulty_programs: int
    accepted_by_public: int
    rejected: int

    def ledger(self) -> dict[str, int]:
        """How many proposals had each fate; the sum is their number."""
        return dict(sorted(Counter(self.fates).items()))


def make_suite(
    bench: Bench,
    public: Sequence[tuple[Args, Any]],
    proposals: Sequence[Proposal],
    good: Sequence[str],
    faulty: Sequence[str],
    *,
    most: int,
    as_json: bool = True,
) -> Suite:
    """Choose at most `most` of the proposed cases.

    Args:
        good: known-good programs, at least one. faulty: mutants, and programs that were graded wrong.
        as_json: tests are written as JSON, else as Python's literals.
    """
    assert good, "a suite needs a good program"
    fates = ["" for _ in proposals]
    known = {literal(args) for args, _ in public}
    for number, proposal in enumerate(proposals):
        if literal(proposal.args) in known:
            fates[number] = DUPLICATE
        known.add(literal(proposal.args))
    open_ = [number for number, fate in enumerate(fates) if not fate]
    expected, rule = agreed(bench, [proposals[number].args for number in open_], good[:KIMI_PROGRAMS])
    for number, (fate, value) in zip(open_, expected, strict=True):
        writable = fate or all(is_writable(each, as_json=as_json) for each in (proposals[number].args, value))
        fates[number] = fate or ("" if writable else UNWRITABLE)
    answers = {number: value for number, (_, value) in zip(open_, expected, strict=True) if not fates[number]}
    cases = [args for args, _ in public] + [proposals[number].args for number in answers]
    wanted = [value for _, value in public] + list(answers.values())
    failed = [failures(bench, program, cases, wanted) for program in faulty]
    first = len(public)
    survivors = [program for program, fails in enumerate(failed) if not any(fails[:first])]
    by_case = {
        number: {program for program, fails in enumerate(failed) if fails[first + place]}
        for place, number in enumerate(answers)
    }
    kept = choose(by_case, set(survivors), most)
    for number, programs in by_case.items():
        fates[number] = KEPT if number in kept else ENOUGH if programs else NO_MUTANT
    rejected = set().union(*(by_case[number] for number in kept)) & set(survivors)
    chosen = tuple(
        KeptCase(proposals[number].args, answers[number], proposals[number].source, len(by_case[number])) for number in kept
    )
    assert all(fates)
    return Suite(chosen, rule, tuple(fates), len(good), len(faulty), len(survivors), len(rejected))


def agreed(bench: Bench, cases: Sequence[Args], good: Sequence[str]) -> tuple[list[tuple[str, Any]], str]:
    """("", what the good programs answer) of each case, or (why there is no such answer, None); and the rule.

    Each program runs twice, the second time with the cases in reversed order: one that remembers earlier cases is found.
    """
    turned = cases[::-1]
    runs = [
        (bench.observe(program, cases, processes=len(cases)), bench.observe(program, turned, processes=len(cases))[::-1])
        for program in good
    ]
    kimi = len(good) == KIMI_PROGRAMS
    found = []
    for place in range(len(cases)):
        first, again = ([one[turn][place] for one in runs] for turn in (0, 1))
        found.append(answer_of(bench, first, again, AGREE if kimi else len(good)))
    if kimi and any(not fate for fate, _ in found):
        passing = sum(
            all(fate or is_answer(bench, run[place], value) for place, (fate, value) in enumerate(found)) for run, _ in runs
        )
        if passing < PASS_ALL:
            found = [(fate or FEW_PASS, None) for fate, _ in found]
    return found, SEVEN_OF_TEN if kimi else ALL_AGREE


def answer_of(bench: Bench, first: Sequence[Seen], again: Sequence[Seen], needed: int) -> tuple[str, Any]:
    """What is wrong with a case, or "" and its answer.

    Args:
        first, again: what each good program did with it in two runs.
        needed: how many must give the same answer.
    """
    if any(seen.how == "slow" for seen in (*first, *again)):
        return SLOW, None
    stable = all(
        one.how == other.how and (one.how != "value" or bench.same(one.value, other.value))
        for one, other in zip(first, again, strict=True)
    )
    if not stable:
        return UNSTABLE, None
    values = [seen.value for seen in first if seen.how == "value"]
    for value in values:
        if sum(bench.same(value, other) for other in values) >= needed:
            return "", value
    return (DISAGREE if len(values) >= needed else FAIL), None


def is_answer(bench: Bench, seen: Seen, expected: Any) -> bool:
    return seen.how == "value" and bench.same(expected, seen.value)


def failures(bench: Bench, program: str, cases: Sequence[Args], expected: Sequence[Any]) -> list[bool]:
    """Whether a program is seen to fail each case: of one that it was not run on nothing is known."""
    seen = bench.observe(program, cases)
    return [one.how != "not run" and not is_answer(bench, one, value) for one, value in zip(seen, expected, strict=True)]


def choose(by_case: dict[int, set[int]], survivors: set[int], most: int) -> list[int]:
    """The cases that together reject the most faulty programs, those first that the public cases let pass, in their order."""
    kept: list[int] = []
    rejected: set[int] = set()
    left = {number: programs for number, programs in by_case.items() if programs}
    while left and len(kept) < most:
        best = max(
            left,
            key=lambda number: (len((left[number] - rejected) & survivors), len(left[number] - rejected), len(left[number])),
        )
        kept.append(best)
        rejected |= left.pop(best)
    return sorted(kept)
