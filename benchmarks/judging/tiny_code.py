"""Measures written tests on the task code: `python -m benchmarks.judging.tiny_code OUT.json`.

Its problems have many right programs: each step in several ways (ways.py). Wrong ones are mutants of the task's own two forms,
and with --completions, a completions.jsonl of an evaluation, what a model has answered; the problems then are that file's. None
of these answers chooses a case (suites_tried.py).

The first --public of a problem's tests are public, those on drawn lists before those on the empty list and the like; the
others are hidden, and so are thirty further ones, which tell wrong programs from mutants that do what the program does.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.judging.suites_tried import Case, Subject, add_options, measure_all, settings_of
from benchmarks.judging.ways import right_programs
from benchmarks.judging.work import program_of, read_rows
from cogitate.runtime import derive_seed
from cogitate.tasks.corpus.programs import one_liner, statements
from cogitate.tasks.generators.code import TESTS, Program, draw
from cogitate.tasks.written_tests.mutants import mutants_of

RIGHT = 19  # programs: the reference and nine others choose cases, which is Kimi K1.5's rule, and nine are held out
DRAWN = 3  # of a problem's tests the first three are given: the empty list, repeated numbers, negative ones
FURTHER = 30  # hidden tests


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.judging.tiny_code", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--public", type=int, choices=range(1, TESTS + 1), default=1, help=f"of the {TESTS} tests")
    parser.add_argument("--completions", type=Path, help="of an evaluation: answers of a model")
    options = parser.parse_args()
    answers = read_answers(options.completions) if options.completions else {}
    programs = [program_of(name) for name in answers] or drawn(options.problems, options.seed)
    subjects = [
        replace(
            subject_of(program, options.public, options.mutants, options.seed), answers=answers.get(program.problem().id, ())
        )
        for program in programs[: options.problems]
    ]
    measure_all(
        subjects, settings_of(options), options, public=options.public, answers=sum(len(one.answers) for one in subjects)
    )


def drawn(count: int, seed: int) -> list[Program]:
    """Different programs of the split for training."""
    rng = random.Random(derive_seed(seed, "tiny_code"))
    found: dict[str, Program] = {}
    while len(found) < count:
        program = draw(rng, "train")
        found.setdefault(program.problem().id, program)
    return list(found.values())


def read_answers(path: Path) -> dict[str, list[str]]:
    """The different programs that a model wrote for each problem."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in read_rows(path):
        programs = found[row["problem_id"]]
        if row["extracted"] and row["extracted"] not in programs:
            programs.append(row["extracted"])
    return dict(found)


def subject_of(program: Program, public: int, mutants: int, seed: int) -> Subject:
    problem = program.problem()
    tests = [*problem.fields["tests"][DRAWN:], *problem.fields["tests"][:DRAWN]]
    right = right_programs(program.steps, RIGHT, random.Random(derive_seed(seed, "ways", problem.id)))
    return Subject(
        replace(problem, fields={**problem.fields, "tests": tests[:public]}),
        hidden=[*(((test["args"][0],), test["expected"]) for test in tests[public:]), *further(program, seed)],
        right=right,
        mutants=in_turn([mutants_of(form(program.steps), mutants, seed) for form in (one_liner, statements)])[:mutants],
    )


def further(program: Program, seed: int) -> list[Case]:
    """Drawn lists of up to ten numbers, small ones more often than large ones, with what the program makes of them."""
    rng = random.Random(derive_seed(seed, "further", program.problem().id))
    lists = [[rng.randint(-size, size) for _ in range(rng.randrange(11))] for size in rng.choices((3, 10, 40), k=FURTHER)]
    return [((xs,), program.run(xs)) for xs in lists]


def in_turn(groups: Sequence[Sequence[Any]]) -> list[Any]:
    """The different items of several lists, one of each in turn."""
    found = itertools.chain.from_iterable(itertools.zip_longest(*groups))
    return list(dict.fromkeys(item for item in found if item is not None))


if __name__ == "__main__":
    main()
