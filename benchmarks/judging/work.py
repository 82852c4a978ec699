"""Measures whether a preference for less work lowers the work of right programs and leaves accuracy where it is.

`python -m benchmarks.judging.work OUT.json --plain FILE... --efficient FILE...`: completions.jsonl of evaluations on the task
code, of runs that differ in the preference alone (RL's `efficiency`, or rejection sampling's `prefer`), one a seed and in the
same order. The work of a problem is what its right programs execute on average, in bytecode instructions
(rewards/code/efficiency.py). Its ratio, efficient over plain, is taken where both runs solve a problem; the interval is over
problems. Of several seeds there is also the mean, paired by seed and problem, with an interval for a new seed on new problems.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.judging.judge import shown
from cogitate.errors import DataError
from cogitate.evals.metrics import mean_number, paired_difference, pool_numbers, pool_paired_difference, pool_seeds, rate
from cogitate.json_lines import RowFaults, read_objects
from cogitate.rewards.code.efficiency import count_instructions
from cogitate.rewards.code.forms import ProgramTests
from cogitate.rewards.sandbox.isolation import Isolation, open_local_sandbox
from cogitate.runtime import write_json
from cogitate.tasks.generators.code import NAME, Program

STEP = re.compile(r"([a-z]+)(\d+)")


@dataclass
class Solved:
    """What one run made of one problem: whether each program is right, and the work of those that are."""

    right: list[bool] = field(default_factory=list)
    work: list[int] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.judging.work", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--plain", type=Path, nargs="+", required=True)
    parser.add_argument("--efficient", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    if len(options.plain) != len(options.efficient):
        parser.error("--plain and --efficient: as many files of the one as of the other")
    plain, efficient = ([read_solved(path) for path in paths] for paths in (options.plain, options.efficient))
    found: dict[str, Any] = {"seeds": [compare(before, after) for before, after in zip(plain, efficient, strict=True)]}
    if len(plain) > 1:
        found["together"] = compare_seeds(plain, efficient)
    write_json(options.out, found)
    print(json.dumps(found, indent=2))


def read_solved(path: Path) -> dict[str, Solved]:
    """The problems of a file of completions, with the work of their right programs."""
    return solved(read_rows(path))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The completions of the task code in a file of completions."""
    faults = RowFaults(path)
    rows = [row for _, row in read_objects(path, faults) if row.get("task") == NAME]
    faults.check()
    if not rows:
        raise DataError(f"{path}: no completion of the task {NAME}")
    return rows


def solved(rows: Iterable[dict[str, Any]]) -> dict[str, Solved]:
    found: dict[str, Solved] = defaultdict(Solved)
    for row in rows:
        problem = found[row["problem_id"]]
        problem.right.append(row["right"] is True)
        if row["right"] and (work := work_of(row["problem_id"], row["extracted"])) is not None:
            problem.work.append(work)
    return dict(found)


@cache
def work_of(problem_id: str, program: str) -> int | None:
    """Instructions that a program executes for the tests of a problem; None where they cannot be counted."""
    box = open_local_sandbox(Isolation())
    return count_instructions(program, ProgramTests(cases_of(problem_id), "function", "f", box.limits), box).instructions


def cases_of(problem_id: str) -> list[dict[str, Any]]:
    """The tests of a problem of the task code."""
    return program_of(problem_id).tests()


def program_of(problem_id: str) -> Program:
    """The program of a problem of the task code, whose id says what it does: code:en:sort8,above6."""
    _, language, steps = problem_id.split(":")
    return Program(tuple((name, int(k)) for name, k in STEP.findall(steps)), language, "")


def compare(plain: dict[str, Solved], efficient: dict[str, Solved]) -> dict[str, Any]:
    """Two runs of one seed, on the same problems."""
    if plain.keys() != efficient.keys():
        raise DataError("the two runs were not measured on the same problems")
    both = [name for name in plain if plain[name].work and efficient[name].work]
    before, after = ([[float(one) for one in run[name].right] for name in plain] for run in (plain, efficient))
    return {
        "accuracy_plain": shown(rate(before), len(before)),
        "accuracy_efficient": shown(rate(after), len(after)),
        "accuracy_difference": shown(paired_difference(after, before), len(after)),
        "instructions_plain": round(mean(mean(plain[name].work) for name in both), 1),
        "instructions_efficient": round(mean(mean(efficient[name].work) for name in both), 1),
        "work_ratio": shown(mean_number([work_ratio(plain, efficient, name) for name in both]), len(both)),
    }


def compare_seeds(plain: Sequence[dict[str, Solved]], efficient: Sequence[dict[str, Solved]]) -> dict[str, Any]:
    """Several seeds' runs on the same problems; work counts where both solve a problem at every seed."""
    names = list(plain[0])
    before, after = (
        [[[float(one) for one in run[name].right] for name in names] for run in runs] for runs in (plain, efficient)
    )
    ratios = [[work_ratio(*pair, name) for name in names] for pair in zip(plain, efficient, strict=True)]
    solved_always = sum(all(rows[place] for rows in ratios) for place in range(len(names)))
    return {
        "accuracy_plain": shown(pool_seeds(before), len(names)),
        "accuracy_efficient": shown(pool_seeds(after), len(names)),
        "accuracy_difference": shown(pool_paired_difference(after, before), len(names)),
        "work_ratio": shown(pool_numbers(ratios), solved_always),
    }


def work_ratio(plain: dict[str, Solved], efficient: dict[str, Solved], name: str) -> list[float]:
    """[efficient over plain] of a problem's work; [] where not both solve it."""
    if not (plain[name].work and efficient[name].work):
        return []
    return [mean(efficient[name].work) / mean(plain[name].work)]


if __name__ == "__main__":
    main()
