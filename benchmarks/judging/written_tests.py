"""Measures written tests on MBPP: `python -m benchmarks.judging.written_tests OUT.json`, with COGITATE_DATA.

Of each row the first test is public and the others are hidden. Cases are changed values of the public one, and with --model
those that a model proposes too. Good programs to choose by are the reference and half of its rewrites; the other half of the
rewrites measures how many right programs are rejected. Mutants are divided in two as well: one half chooses cases, the other
half, as far as the public or a hidden test shows that a mutant is wrong, measures how many wrong programs are accepted. A suite
counts where it has three cases or more and rejects a mutant of either half that the public test accepts.

With --answers the model also writes programs. Those that fail a test are wrong ones, none of which chooses cases; those that
pass all three are right programs beside the rewrites, as far as three tests can say.

Rewrites are equal to the reference by construction (names, order of branches, a wrapper). They show that a suite does not rest
on chance or on how a program is written, and nothing of other ways to solve it.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.judging.judge import rows_of, share
from cogitate.config import WriteTestsConfig
from cogitate.endpoint import Question
from cogitate.engine.answering import AnsweringModel
from cogitate.errors import EndpointError
from cogitate.recipe.stages.unit_tests.write_tests import author_prompt, gather
from cogitate.replies import Reply
from cogitate.rewards.code.program_text import extract_program
from cogitate.rewards.sandbox.isolation import Isolation, open_local_sandbox
from cogitate.runtime import write_json
from cogitate.tasks.written_tests.mutants import mutants_of
from cogitate.tasks.written_tests.observing import Bench, case_limits
from cogitate.tasks.written_tests.suites import KEPT, Suite, failures, make_suite
from cogitate.tasks.written_tests.values import Args, cases_in
from cogitate.types import Message, Problem, SamplingParams

WANTED = 3  # cases of a suite
TOKENS_OF_CASES, TOKENS_OF_A_PROGRAM = 200, 160
ASK_PROGRAM = "{question} The function is named {entry_point}. Write Python code only.\nExample: {example}"
Counts = tuple[Counter[str], Counter[str]]  # of what was measured, and of the fates of cases


@dataclass(frozen=True, slots=True)
class Asked:
    """A problem with what a model has written for it: cases, and programs."""

    problem: Problem
    replies: Sequence[Reply | EndpointError] = ()
    answers: Sequence[str] = ()


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.judging.written_tests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--mutants", type=int, default=120)
    parser.add_argument("--changed-values", type=int, default=32)
    parser.add_argument("--slow-seconds", type=float, default=1.0, help="of processor time: what takes longer is slow")
    parser.add_argument("--model", default="", help="a model directory that proposes cases too")
    parser.add_argument("--answers", type=int, default=0, help="programs that the model writes for each problem")
    parser.add_argument("--workers", type=int, default=1, help="problems at a time")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.answers and not options.model:
        parser.error("--answers needs --model, which writes them")
    settings = WriteTestsConfig(
        changed_values=options.changed_values, proposals=1 if options.model else 0, slow_seconds=options.slow_seconds
    )
    rows = rows_of(Path(os.environ["COGITATE_DATA"]) / "code" / "mbpp.jsonl", 10**6, random.Random(options.seed))
    problems = [problem for row in rows if (problem := read_problem(row)) is not None][: options.problems]
    asked = ask(options.model, problems, settings, options.answers) if options.model else list(map(Asked, problems))
    said = {"mutants": options.mutants, "seed": options.seed, "model": Path(options.model).name, "answers": options.answers}
    sums: Counter[str] = Counter()
    fates: Counter[str] = Counter()
    with ProcessPoolExecutor(options.workers) as pool:
        one = partial(measure, settings=settings, mutants=options.mutants, seed=options.seed)
        for done in as_completed([pool.submit(one, each) for each in asked]):
            found, ends = done.result()
            sums.update(found)
            fates.update(ends)
            write_json(options.out, {"problems": sums["problems"], **said, **report(sums, fates)})
    print(json.dumps(report(sums, fates), indent=2))


def read_problem(row: dict[str, Any]) -> Problem | None:
    """A row whose three tests are values of one function; None for others."""
    cases = [case for text in row["test_list"] for case in cases_in(text, None)]
    calls = {name for text in row["test_list"] for node in ast.walk(ast.parse(text)) if (name := called(node))}
    if len(cases) != 3 or row.get("test_setup_code") or len(calls) != 1:
        return None
    fields = {"mode": "function", "entry_point": calls.pop(), "tests": row["test_list"], "reference_program": row["code"]}
    return Problem(row["id"], "mbpp", "code", row["text"], fields=fields)


def called(node: ast.AST) -> str:
    """The name of the function that is called here, "" where it is Python's own or there is none."""
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not hasattr(builtins, node.func.id)
    return node.func.id if named else ""  # type: ignore[attr-defined]


def ask(model: str, problems: Sequence[Problem], settings: WriteTestsConfig, answers: int) -> list[Asked]:
    """What the model has written for each problem: one reply with cases, and so many programs."""
    of_cases = SamplingParams(settings.temperature, max_new_tokens=TOKENS_OF_CASES)
    of_programs = SamplingParams(settings.temperature, max_new_tokens=TOKENS_OF_A_PROGRAM)
    questions = [Question((Message("user", author_prompt(problem, settings.cases)),), of_cases) for problem in problems]
    questions += [
        Question((Message("user", program_prompt(problem)),), of_programs, seed)
        for problem in problems
        for seed in range(answers)
    ]
    with AnsweringModel(Path(model), "author", max_batch=16) as author:
        replies = author.ask_each(questions)
    of_problem = iter(replies[len(problems) :])
    return [
        Asked(problem, [reply], programs_in([next(of_problem) for _ in range(answers)]))
        for problem, reply in zip(problems, replies, strict=False)
    ]


def program_prompt(problem: Problem) -> str:
    fields = problem.fields
    return ASK_PROGRAM.format(question=problem.question, entry_point=fields["entry_point"], example=fields["tests"][0])


def programs_in(replies: Sequence[Reply | EndpointError]) -> list[str]:
    """The different programs that stand in replies."""
    found = [extract_program(reply.text) for reply in replies if isinstance(reply, Reply)]
    return list(dict.fromkeys(program for program in found if program))


def measure(asked: Asked, settings: WriteTestsConfig, mutants: int, seed: int) -> Counts:
    """Write one problem's suite and try it on the programs that were held out."""
    problem, sums = asked.problem, Counter[str](problems=1)
    public, *hidden = (case for text in problem.fields["tests"] for case in cases_in(text, None))
    entry = problem.fields["entry_point"]
    reference = problem.fields["reference_program"].replace("\r\n", "\n")
    rewritten = rewrites(reference, entry)
    faulty = mutants_of(reference, mutants, seed)
    proposals, unread = gather([public], asked.replies, settings, seed)
    limits = case_limits(settings.slow_seconds, len(proposals) + 3)
    bench = Bench(open_local_sandbox(Isolation()), entry, limits, exact=True)
    good = [reference, *rewritten[::2]]
    suite = make_suite(bench, [public], proposals, good, faulty[::2], most=settings.most, as_json=False)
    sums.update(
        proposed=len(proposals) + len(unread),
        kept=len(suite.cases),
        kept_from_model=sum(case.source == "model" for case in suite.cases),
    )
    fates = Counter([*suite.fates, *unread])
    if not suite.cases:
        sums["no_suite: no case is kept"] += 1
        return sums, fates
    sums.update(right=len(rewritten[1::2]))
    sums["right_rejected"] += sum(any(tried(bench, program, public, suite)) for program in rewritten[1::2])
    accepted = sum(try_wrong(bench, program, (public, *hidden), suite, sums, "mutants") for program in faulty[1::2])
    for program in asked.answers:
        try_wrong(bench, program, (public, *hidden), suite, sums, "answers")
    if len(suite.cases) < WANTED:
        sums[f"no_suite: fewer than {WANTED} cases"] += 1
    elif suite.rejected or accepted:
        sums["suites"] += 1
    else:
        survivors = suite.accepted_by_public or sums["mutants_accepted_by_public"]
        why = (
            "no mutant that the public test accepts is seen to be wrong" if survivors else "the public test rejects all mutants"
        )
        sums[f"no_suite: {why}"] += 1
    return sums, fates


def try_wrong(
    bench: Bench, program: str, tests: Sequence[tuple[Args, Any]], suite: Suite, sums: Counter[str], kind: str
) -> bool:
    """Count what public test and suite say of a program, one that passes all tests as right; adds to the counts.

    Returns:
        whether the public test accepts the program and the suite rejects it.
    """
    by_tests = failures(bench, program, [case for case, _ in tests], [value for _, value in tests])
    fails = [True] if by_tests[0] else tried(bench, program, tests[0], suite)  # the suite has the public test, too
    if any(by_tests):
        sums[f"{kind}_wrong"] += 1
        sums[f"{kind}_accepted_by_public"] += not by_tests[0]
        sums[f"{kind}_accepted_by_suite"] += not any(fails)
    elif kind == "answers":
        sums["answers_right"] += 1
        sums["answers_right_rejected"] += any(fails)
    return not fails[0] and any(fails)


def tried(bench: Bench, program: str, public: tuple[Args, Any], suite: Suite) -> list[bool]:
    """Whether a program fails the public case, and each case of the suite."""
    cases = [public[0], *(case.args for case in suite.cases)]
    return failures(bench, program, cases, [public[1], *(case.expected for case in suite.cases)])


def report(sums: Counter[str], fates: Counter[str]) -> dict[str, Any]:
    assert sums["proposed"] == sum(fates.values()), (sums, fates)
    assert sums["kept"] == fates[KEPT]
    found: dict[str, Any] = {
        "suites": share(sums["suites"], sums["problems"]),
        "right_rejected": share(sums["right_rejected"], sums["right"]),
        "right_answers_rejected": share(sums["answers_right_rejected"], sums["answers_right"]),
    }
    for kind in ("mutants", "answers"):
        for judged_by in ("public", "suite"):
            accepted = sums[f"{kind}_accepted_by_{judged_by}"]
            found[f"wrong_{kind}_accepted_by_{judged_by}"] = share(accepted, sums[f"{kind}_wrong"])
    return {
        **found,
        "no_suite": {key.removeprefix("no_suite: "): count for key, count in sums.items() if key.startswith("no_suite")},
        "kept_from_model": sums["kept_from_model"],
        "proposed": sums["proposed"],
        "ledger": dict(fates.most_common()),
    }


def rewrites(program: str, entry: str) -> list[str]:
    """Programs that do the same by construction: local names changed, branches swapped, a wrapper, and two of these at once."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError):
        return []
    renamed = renamed_locals(program)
    swapped = ast.unparse(ast.fix_missing_locations(SwappedBranches().visit(ast.parse(program))))
    wrapped = f"{ast.unparse(tree)}\n\n_inner = {entry}\n\ndef {entry}(*args):\n    return _inner(*args)"
    both = ast.unparse(ast.fix_missing_locations(SwappedBranches().visit(ast.parse(renamed))))
    return list(dict.fromkeys([ast.unparse(tree), swapped, renamed, wrapped, both]))


class SwappedBranches(ast.NodeTransformer):
    """`if a: x else: y` becomes `if not a: y else: x`."""

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if not node.orelse:
            return node
        return ast.If(ast.UnaryOp(ast.Not(), node.test), node.orelse, node.body)


def renamed_locals(program: str) -> str:
    """The program with other names for what functions without inner functions assign."""
    tree = ast.parse(program)
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        inner = [node for node in ast.walk(function) if node is not function]
        if any(isinstance(node, ast.FunctionDef | ast.Lambda | ast.Global | ast.Nonlocal | ast.ClassDef) for node in inner):
            continue
        arguments = {node.arg for node in inner if isinstance(node, ast.arg)}
        names = {node.id for node in inner if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)} - arguments
        for node in inner:
            if isinstance(node, ast.Name) and node.id in names:
                node.id = f"{node.id}_2"
    return ast.unparse(tree)


if __name__ == "__main__":
    main()
