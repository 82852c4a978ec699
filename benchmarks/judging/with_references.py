"""Problems of the task code with a reference that needs little work: `python -m benchmarks.judging.with_references OUT.jsonl`.

The reference is the task's own one expression, which executes fewer instructions than the same steps assigned one by one. RL on
the file with --efficiency, and without, shows what `efficiency` does (work.py compares the two).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.judging.tiny_code import drawn
from cogitate.tasks.corpus.programs import one_liner
from cogitate.tasks.files.datasets import write_rows
from cogitate.tasks.generators.code import Program


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.judging.with_references",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--efficiency", type=float, default=0.0, help="what part of a right program's score its work is")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write_rows(options.out, [row_of(program, options.efficiency) for program in drawn(options.problems, options.seed)])


def row_of(program: Program, efficiency: float) -> dict[str, object]:
    """A problem as a file of problems has it."""
    problem = program.problem()
    return {
        "id": problem.id, "question": problem.question, "kind": "code", "language": problem.language, **problem.fields,
        "reference_program": one_liner(program.steps), "efficiency": efficiency,
    }  # fmt: skip


if __name__ == "__main__":
    main()
