"""Writes suites of problems whose right and wrong programs are known, and tries them on programs that chose none of the cases.

Cases are changed values of the public tests, and those that a model has proposed. Right programs are divided in two: the
first, the reference, and half of the others choose cases; the rest measures how many right programs a suite rejects. Mutants
are divided as well: one half chooses cases; the other, as far as a public or hidden test shows that a mutant is wrong,
measures how many wrong programs are accepted. A problem has a suite where three cases or more are kept and they reject a
mutant, of either half, that the public tests accept.

Programs that a model has written as answers choose no case. Those that fail a public or hidden test are wrong ones, the others
are right as far as these tests can say.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.judging.judge import shown
from cogitate.answers import Answers
from cogitate.config import WriteTestsConfig
from cogitate.errors import EndpointError
from cogitate.evals.metrics import rate
from cogitate.recipe.stages.unit_tests.write_tests import gather
from cogitate.replies import Reply
from cogitate.rewards.code.forms import is_assertions
from cogitate.rewards.sandbox.isolation import Isolation, open_local_sandbox
from cogitate.runtime import write_json
from cogitate.tasks.written_tests.observing import Bench, case_limits
from cogitate.tasks.written_tests.suites import KEPT, Suite, failures, make_suite
from cogitate.tasks.written_tests.values import Args, literal, public_cases
from cogitate.types import Problem

WANTED = 3  # cases of a suite
Case = tuple[Args, Any]  # arguments, and what a right program answers
Counts = tuple[Counter[str], Counter[str]]  # of what was measured, and of the fates of cases


@dataclass(frozen=True, slots=True)
class Subject:
    """A problem on which suites are measured.

    Attributes:
        problem: as its solvers and the author of cases see it: its tests are the public ones.
        hidden: cases that nobody sees, and that tell which programs are wrong.
        right: right programs, the reference first.
        mutants: of right programs.
        replies: of a model that was asked for cases. answers: programs that a model has written.
    """

    problem: Problem
    hidden: Sequence[Case]
    right: Sequence[str]
    mutants: Sequence[str]
    replies: Sequence[Reply | EndpointError] = ()
    answers: Sequence[str] = ()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that all measurements of suites have."""
    parser.add_argument("out", type=Path)
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--mutants", type=int, default=120, help="of each problem, half of which choose cases")
    parser.add_argument("--changed-values", type=int, default=32, help="cases proposed without a model")
    parser.add_argument("--slow-seconds", type=float, default=1.0, help="of processor time: what takes longer is slow")
    parser.add_argument("--workers", type=int, default=1, help="problems at a time")
    parser.add_argument("--seed", type=int, default=0)


def settings_of(options: argparse.Namespace, proposals: int = 0) -> WriteTestsConfig:
    return WriteTestsConfig(changed_values=options.changed_values, proposals=proposals, slow_seconds=options.slow_seconds)


def measure_all(subjects: Sequence[Subject], settings: WriteTestsConfig, options: argparse.Namespace, **said: Any) -> None:
    """Measure all problems, and write what is known after each of them, beside what was `said` of how they were made.

    What was found of a problem is kept beside OUT, so that a measurement that was stopped goes on.
    """
    said = {"mutants": options.mutants, "changed_values": options.changed_values, "seed": options.seed, **said}
    with Answers(options.out.with_suffix(".kept.jsonl")) as kept, ProcessPoolExecutor(options.workers) as pool:
        keys = {key_of(subject, settings, options.seed): subject for subject in subjects}
        found: list[Counts] = [(Counter(kept[key]["sums"]), Counter(kept[key]["fates"])) for key in keys if key in kept]

        def write() -> None:
            write_json(options.out, {"problems": len(found), **said, **report(found)})

        write()  # where a kill came just before, or OUT is gone, nothing may be left to measure
        started = {
            pool.submit(measure, subject, settings, options.seed): key for key, subject in keys.items() if key not in kept
        }
        for done in as_completed(started):
            sums, fates = done.result()
            kept.keep(started[done], {"sums": dict(sums), "fates": dict(fates)})
            found.append((sums, fates))
            write()
    print(json.dumps(report(found), indent=2))


def key_of(subject: Subject, settings: WriteTestsConfig, seed: int) -> str:
    """By what a measured problem is known: all that its counts depend on."""
    replies = [reply.text if isinstance(reply, Reply) else str(reply) for reply in subject.replies]
    tests = list(map(literal, [*subject.problem.fields["tests"], *subject.hidden]))
    programs = [*subject.right, "", *subject.mutants, "", *subject.answers]
    content = json.dumps([subject.problem.id, tests, programs, replies, settings.model_dump(), seed], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def measure(subject: Subject, settings: WriteTestsConfig, seed: int) -> Counts:
    """Write one problem's suite and try it on the programs that were held out."""
    fields, sums = subject.problem.fields, Counter[str](problems=1)
    public = public_cases(fields)
    proposals, unread = gather(public, subject.replies, settings, seed)
    limits = case_limits(settings.slow_seconds, len(proposals) + len(public) + len(subject.hidden))
    assertions = is_assertions(fields["tests"])
    bench = Bench(open_local_sandbox(Isolation()), fields["entry_point"], limits, exact=assertions)
    reference, *others = subject.right
    good, held_out = [reference, *others[::2]], others[1::2]
    choosing, mutants = subject.mutants[::2], subject.mutants[1::2]
    suite = make_suite(bench, public, proposals, good, choosing, most=settings.most, as_json=not assertions)
    sums.update(
        proposed=len(proposals) + len(unread),
        kept=len(suite.cases),
        kept_from_model=sum(case.source == "model" for case in suite.cases),
    )
    sums[f"rule: {suite.rule}"] += 1
    fates = Counter([*suite.fates, *unread])
    if not suite.cases:
        sums["no_suite: no case is kept"] += 1
        return sums, fates
    cases = [*public, *((case.args, case.expected) for case in suite.cases)]  # the written tests stand beside the public ones
    sums.update(right=len(held_out))
    sums["right_rejected"] += sum(any(fails(bench, program, cases)) for program in held_out)
    tried = Tried(bench, suite, public, subject.hidden, sums)
    accepted = sum([tried.wrong(program, "mutants") for program in mutants])
    for program in subject.answers:
        tried.wrong(program, "answers")
    if len(suite.cases) < WANTED:
        sums[f"no_suite: fewer than {WANTED} cases"] += 1
    elif suite.rejected or accepted:
        sums["suites"] += 1
    elif suite.accepted_by_public or sums["mutants_accepted_by_public"]:
        sums["no_suite: no mutant that the public tests accept is seen to be wrong"] += 1
    else:
        sums["no_suite: the public tests reject all mutants"] += 1
    return sums, fates


@dataclass(frozen=True, slots=True)
class Tried:
    """A suite that is tried on programs which may be wrong; adds to `sums`."""

    bench: Bench
    suite: Suite
    public: Sequence[Case]
    hidden: Sequence[Case]
    sums: Counter[str]

    def wrong(self, program: str, kind: str) -> bool:
        """Count what public tests and suite say of a program; one that passes all tests known is right, or an equal mutant.

        Returns:
            whether the public tests accept the program and the suite rejects it.
        """
        by_tests = fails(self.bench, program, [*self.public, *self.hidden])
        by_public = any(by_tests[: len(self.public)])
        by_suite = any(fails(self.bench, program, [(case.args, case.expected) for case in self.suite.cases]))
        if any(by_tests):
            self.sums[f"{kind}_wrong"] += 1
            self.sums[f"{kind}_accepted_by_public"] += not by_public
            self.sums[f"{kind}_accepted_by_written"] += not by_suite
            self.sums[f"{kind}_accepted_by_both"] += not by_public and not by_suite
        elif kind == "answers":
            self.sums["answers_right"] += 1
            self.sums["answers_right_rejected"] += by_suite
        return by_suite and not by_public


def fails(bench: Bench, program: str, cases: Sequence[Case]) -> list[bool]:
    return failures(bench, program, [args for args, _ in cases], [value for _, value in cases])


def report(found: Sequence[Counts]) -> dict[str, Any]:
    """Shares with their intervals, over problems: each problem weighs the same. And the ledger, whose sum is checked.

    A wrong program that is accepted "by written" passes the kept cases; "by both" it passes the public tests as well, beside
    which they stand.
    """
    sums, fates = Counter[str](), Counter[str]()
    for counts, ends in found:
        sums.update(counts)
        fates.update(ends)
    assert sums["proposed"] == sum(fates.values()), (sums, fates)
    assert sums["kept"] == fates[KEPT]

    def part(hits: str, of: str) -> dict[str, Any]:
        rows = [[1.0] * counts[hits] + [0.0] * (counts[of] - counts[hits]) for counts, _ in found if counts[of]]
        return {**shown(rate(rows), sums[of]), "problems": len(rows)} if rows else {"value": None, "of": 0}

    shares = {
        "suites": part("suites", "problems"),
        "right_rejected": part("right_rejected", "right"),
        "right_answers_rejected": part("answers_right_rejected", "answers_right"),
    }
    for kind in ("mutants", "answers"):
        for judged_by in ("public", "written", "both"):
            shares[f"wrong_{kind}_accepted_by_{judged_by}"] = part(f"{kind}_accepted_by_{judged_by}", f"{kind}_wrong")
    return {
        **shares,
        "no_suite": counts_of(sums, "no_suite: "),
        "rules": counts_of(sums, "rule: "),
        "kept_from_model": sums["kept_from_model"],
        "proposed": sums["proposed"],
        "ledger": dict(fates.most_common()),
    }


def counts_of(sums: Counter[str], beginning: str) -> dict[str, int]:
    return {key.removeprefix(beginning): count for key, count in sums.items() if key.startswith(beginning)}
