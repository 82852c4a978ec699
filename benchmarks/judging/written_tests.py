"""Measures written tests on MBPP: `python -m benchmarks.judging.written_tests OUT.json`, with COGITATE_DATA.

Of each row the first test is public and the others are hidden. Cases are changed values of the public one, and with --model
those that a model proposes too. Good programs to choose by are the reference and half of its rewrites; the other half of the
rewrites measures how many right programs are rejected. Mutants are divided in two as well: one half chooses cases, the other
half, as far as the public or a hidden test shows that a mutant is wrong, measures how many wrong programs are accepted. A suite
counts where it has three cases or more and rejects a mutant of either half that the public test accepts.

Rewrites are equal to the reference by construction (names, order of branches, a wrapper): no other right programs come with the
data. They show that a suite does not rest on chance or on how a program is written, and nothing of other ways to solve it.
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
from pathlib import Path
from typing import Any

from benchmarks.judging.judge import rows_of, share
from cogitate.config import WriteTestsConfig
from cogitate.endpoint import Question
from cogitate.engine.answering import AnsweringModel
from cogitate.errors import EndpointError
from cogitate.recipe.stages.unit_tests.write_tests import author_prompt, gather
from cogitate.replies import Reply
from cogitate.rewards.sandbox.isolation import Isolation, open_local_sandbox
from cogitate.runtime import write_json
from cogitate.tasks.written_tests.mutants import mutants_of
from cogitate.tasks.written_tests.observing import Bench, case_limits
from cogitate.tasks.written_tests.suites import KEPT, Suite, failures, make_suite
from cogitate.tasks.written_tests.values import Args, cases_in
from cogitate.types import Message, Problem, SamplingParams

WANTED = 3  # cases of a suite


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.judging.written_tests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--mutants", type=int, default=24)
    parser.add_argument("--changed-values", type=int, default=24)
    parser.add_argument("--model", help="a model directory that proposes cases too")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = WriteTestsConfig(changed_values=options.changed_values, proposals=1 if options.model else 0)
    rows = rows_of(Path(os.environ["COGITATE_DATA"]) / "code" / "mbpp.jsonl", 10**6, random.Random(options.seed))
    problems = [problem for row in rows if (problem := read_problem(row)) is not None][: options.problems]
    replies = ask(options.model, problems, settings) if options.model else {}
    sums: Counter[str] = Counter()
    fates: Counter[str] = Counter()
    for problem in problems:
        measure(problem, replies.get(problem.id, []), settings, options.mutants, options.seed, sums, fates)
        found = {"problems": sums["problems"], "mutants": options.mutants, "seed": options.seed, **report(sums, fates)}
        write_json(options.out, found)
    print(json.dumps(found, indent=2))


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


def ask(model: str, problems: Sequence[Problem], settings: WriteTestsConfig) -> dict[str, list[Reply | EndpointError]]:
    """One reply of the model for each problem."""
    params = SamplingParams(settings.temperature, max_new_tokens=200)
    questions = [Question((Message("user", author_prompt(problem, settings.cases)),), params) for problem in problems]
    with AnsweringModel(Path(model), "author", max_batch=16) as author:
        replies = author.ask_each(questions)
    return {problem.id: [reply] for problem, reply in zip(problems, replies, strict=True)}


def measure(
    problem: Problem,
    replies: Sequence[Reply | EndpointError],
    settings: WriteTestsConfig,
    mutants: int,
    seed: int,
    sums: Counter[str],
    fates: Counter[str],
) -> None:
    """Write one problem's suite and try it on the programs that were held out; adds to the counts."""
    public, *hidden = (case for text in problem.fields["tests"] for case in cases_in(text, None))
    entry = problem.fields["entry_point"]
    reference = problem.fields["reference_program"].replace("\r\n", "\n")
    rewritten = rewrites(reference, entry)
    good, held_out = [reference, *rewritten[::2]], rewritten[1::2]
    faulty = mutants_of(reference, mutants, seed)
    proposals, unread = gather([public], replies, settings, seed)
    bench = Bench(open_local_sandbox(Isolation()), entry, case_limits(1.0, len(proposals) + 3), exact=True)
    suite = make_suite(bench, [public], proposals, good, faulty[::2], most=settings.most, as_json=False)
    fates.update([*suite.fates, *unread])
    sums["proposed"] += len(proposals) + len(unread)
    sums["kept"] += len(suite.cases)
    sums["kept_from_model"] += sum(case.source == "model" for case in suite.cases)
    sums["problems"] += 1
    if not suite.cases:
        return
    tells_apart = suite.rejected > 0
    sums["right"] += len(held_out)
    sums["right_rejected"] += sum(any(tried(bench, program, public, suite)) for program in held_out)
    for program in faulty[1::2]:
        tests = (public, *hidden)
        fails = tried(bench, program, public, suite)
        tells_apart = tells_apart or (any(fails) and not fails[0])
        by_tests = failures(bench, program, [case for case, _ in tests], [value for _, value in tests])
        if any(by_tests):
            sums["wrong"] += 1
            sums["accepted_by_public"] += not by_tests[0]
            sums["accepted_by_suite"] += not any(fails)
    sums["suites"] += len(suite.cases) >= WANTED and tells_apart


def tried(bench: Bench, program: str, public: tuple[Args, Any], suite: Suite) -> list[bool]:
    """Whether a program fails the public case, and each case of the suite."""
    cases = [public[0], *(case.args for case in suite.cases)]
    return failures(bench, program, cases, [public[1], *(case.expected for case in suite.cases)])


def report(sums: Counter[str], fates: Counter[str]) -> dict[str, Any]:
    assert sums["proposed"] == sum(fates.values()), (sums, fates)
    assert sums["kept"] == fates[KEPT]
    return {
        "suites": share(sums["suites"], sums["problems"]),
        "right_rejected": share(sums["right_rejected"], sums["right"]),
        "false_accepts_of_public": share(sums["accepted_by_public"], sums["wrong"]),
        "false_accepts_of_suite": share(sums["accepted_by_suite"], sums["wrong"]),
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
