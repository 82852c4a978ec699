"""Measures written tests on MBPP: `python -m benchmarks.judging.written_tests OUT.json`, with COGITATE_DATA.

Of each row the first test is public and the others are hidden. Right programs are the reference and its rewrites, wrong ones
are mutants (suites_tried.py). With --model a model proposes cases too, and with --answers it writes programs, which choose no
case.

Rewrites are equal to the reference by construction (names, order of branches, a wrapper). They show that a suite does not rest
on chance or on how a program is written, and nothing of other ways to solve it.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.judging.judge import cache_of, rows_of
from benchmarks.judging.rewrites import rewrites
from benchmarks.judging.suites_tried import Subject, add_options, measure_all, settings_of
from cogitate.config import WriteTestsConfig
from cogitate.endpoint import Question
from cogitate.engine.answering import AnsweringModel
from cogitate.errors import EndpointError
from cogitate.recipe.stages.unit_tests.write_tests import author_prompt
from cogitate.replies import Reply
from cogitate.rewards.code.program_text import extract_program
from cogitate.tasks.written_tests.mutants import mutants_of
from cogitate.tasks.written_tests.values import cases_in
from cogitate.types import Message, Problem, SamplingParams

TOKENS_OF_CASES, TOKENS_OF_A_PROGRAM = 200, 160
ASK_PROGRAM = "{question} The function is named {entry_point}. Write Python code only.\nExample: {example}"


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.judging.written_tests", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--model", default="", help="a model directory that proposes cases too")
    parser.add_argument("--answers", type=int, default=0, help="programs that the model writes for each problem")
    parser.add_argument("--cache", default="", help="a directory that keeps what the model wrote")
    options = parser.parse_args()
    if options.answers and not options.model:
        parser.error("--answers needs --model, which writes them")
    settings = settings_of(options, proposals=1 if options.model else 0)
    rows = rows_of(Path(os.environ["COGITATE_DATA"]) / "code" / "mbpp.jsonl", 10**6, random.Random(options.seed))
    read = (read_row(row, options.mutants, options.seed) for row in rows)
    subjects = [subject for subject in read if subject is not None][: options.problems]
    if options.model:
        subjects = ask(options.model, subjects, settings, options.answers, options.cache)
    measure_all(subjects, settings, options, model=Path(options.model).name, answers=options.answers)


def read_row(row: dict[str, Any], mutants: int, seed: int) -> Subject | None:
    """A row whose three tests are values of one function; None for others."""
    cases = [case for text in row["test_list"] for case in cases_in(text, None)]
    calls = {name for text in row["test_list"] for node in ast.walk(ast.parse(text)) if (name := called(node))}
    if len(cases) != 3 or row.get("test_setup_code") or len(calls) != 1:
        return None
    entry, reference = calls.pop(), row["code"].replace("\r\n", "\n")
    fields = {"mode": "function", "entry_point": entry, "tests": row["test_list"][:1], "reference_program": reference}
    return Subject(
        Problem(row["id"], "mbpp", "code", row["text"], fields=fields),
        hidden=cases[1:],
        right=[reference, *rewrites(reference, entry)],
        mutants=mutants_of(reference, mutants, seed),
    )


def called(node: ast.AST) -> str:
    """The name of the function that is called here, "" where it is Python's own or there is none."""
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not hasattr(builtins, node.func.id)
    return node.func.id if named else ""  # type: ignore[attr-defined]


def ask(model: str, subjects: Sequence[Subject], settings: WriteTestsConfig, answers: int, cache: str) -> list[Subject]:
    """The same problems with what the model has written for each: one reply with cases, and so many programs."""
    of_cases = SamplingParams(settings.temperature, max_new_tokens=TOKENS_OF_CASES)
    of_programs = SamplingParams(settings.temperature, max_new_tokens=TOKENS_OF_A_PROGRAM)
    problems = [subject.problem for subject in subjects]
    questions = [Question((Message("user", author_prompt(problem, settings.cases)),), of_cases) for problem in problems]
    questions += [
        Question((Message("user", program_prompt(problem)),), of_programs, seed)
        for problem in problems
        for seed in range(answers)
    ]
    with AnsweringModel(Path(model), "author", cache=cache_of(cache, model), max_batch=64) as author:
        replies = author.ask_each(questions)
    of_problem = iter(replies[len(problems) :])
    return [
        replace(subject, replies=[reply], answers=programs_in([next(of_problem) for _ in range(answers)]))
        for subject, reply in zip(subjects, replies, strict=False)
    ]


def program_prompt(problem: Problem) -> str:
    fields = problem.fields
    return ASK_PROGRAM.format(question=problem.question, entry_point=fields["entry_point"], example=fields["tests"][0])


def programs_in(replies: Sequence[Reply | EndpointError]) -> list[str]:
    """The different programs that stand in replies."""
    found = [extract_program(reply.text) for reply in replies if isinstance(reply, Reply)]
    return list(dict.fromkeys(program for program in found if program))


if __name__ == "__main__":
    main()
