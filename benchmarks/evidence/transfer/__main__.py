"""`python -m benchmarks.evidence.transfer BASE R1_ZERO [R1_ZERO ...] --data DIR --out DIR`: tasks of others, never trained.

Three benchmarks (countdown, knights, mawps) and ten generators of reasoning-gym (the extra `gym`): pass@1 of base under its
best prompt and of R1-Zero in its own form, side by side and paired by problem.
Killed, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.evidence.drawing import Model, Rows, add_arguments, carry_out, described, introduction, right
from benchmarks.evidence.page import percent, table
from benchmarks.evidence.pool import paired
from cogitate.apps.evaluate import asking_of
from cogitate.config import Config
from cogitate.evals.benchmarks.definition import find_benchmark
from cogitate.evals.benchmarks.load import load_benchmark
from cogitate.evals.metrics import pool_seeds
from cogitate.evals.prompts import BASE_PROMPTS
from cogitate.recipe.problems import check_gradable
from cogitate.tasks.generators.gym import PREFIX, gym_problems
from cogitate.types import Problem

BENCHMARKS = ("countdown", "knights", "mawps")
GENERATORS = (
    "countdown", "knights_knaves", "simple_equations", "chain_sum", "products", "basic_arithmetic", "gcd", "number_sequence",
    "leg_counting", "letter_counting",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; see carry_out."""
    parser = argparse.ArgumentParser("python -m benchmarks.evidence.transfer", description=(__doc__ or "").splitlines()[0])
    add_arguments(parser, problems=100, per="of each task", samples=4)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=f"of the benchmarks {', '.join(BENCHMARKS)}")
    parser.add_argument("--generators", default=",".join(GENERATORS), help="of reasoning-gym, by comma; '' for none")
    given = parser.parse_args(arguments)
    generators = [name for name in given.generators.split(",") if name]
    problems_of = partial(problems_of_others, given.data, generators, given.problems)
    return carry_out(given, "transfer", None, problems_of, measure, as_markdown)


def problems_of_others(data: Path, generators: Sequence[str], count: int, config: Config) -> list[Problem]:
    """`count` problems of each benchmark, spread over its categories, and of each generator.

    Raises:
        DataError: a file is missing, has a row that cannot be graded, or a generator has fewer.
        ConfigError: reasoning-gym is not installed, or has no such generator.
    """
    found: list[Problem] = []
    for name in BENCHMARKS:
        loaded = load_benchmark(find_benchmark(name), data, limit=count, partial=True)
        loaded.faults.check()
        found += [replace(problem, task=name) for problem in loaded.problems]
    for name in generators:
        found += gym_problems(f"{PREFIX}{name}", {}, count, split="eval", seed=config.tasks.eval_seed)
    check_gradable(found, config)
    return found


def measure(base: Model, zeros: Sequence[Model], problems: Sequence[Problem]) -> dict[str, Any]:
    """Every model on the problems whose prompts fit all models.

    Raises:
        DataError: no prompt fits, or nothing could be judged.
    """
    samples, forms = base.config.evaluate.samples, [asking_of("r1_zero", zero.directory) for zero in zeros]
    fitting = base.fitting(problems, BASE_PROMPTS).problems
    for zero, form in zip(zeros, forms, strict=True):
        fitting = zero.fitting(fitting, [form]).problems
    best, by_prompt = base.best_of(BASE_PROMPTS, fitting, samples)
    before = [right(base.ask(fitting, best, samples))] * len(zeros)
    after = [right(zero.ask(fitting, form, samples)) for zero, form in zip(zeros, forms, strict=True)]
    return {**described(base, best, by_prompt, zeros), "tasks": by_task(problems, fitting, before, after)}


def by_task(
    problems: Sequence[Problem], fitting: Sequence[Problem], before: Sequence[Rows], after: Sequence[Rows]
) -> dict[str, dict[str, Any]]:
    """pass@1 of base and R1-Zero and what is gained, by task and of all; without a fitting problem their number alone.

    Args:
        fitting: the problems that were asked, of which `before` and `after` have a row each at every seed.
    """
    asked = Counter(problem.task for problem in problems)
    found: dict[str, dict[str, Any]] = {}
    for task in [*asked, "all"]:
        numbers = [number for number, problem in enumerate(fitting) if task in (problem.task, "all")]
        left_out = (len(problems) if task == "all" else asked[task]) - len(numbers)
        found[task] = {"problems": len(numbers), "left_out": left_out}
        if numbers:
            base, zero = ([[rows[n] for n in numbers] for rows in by_seed] for by_seed in (before, after))
            found[task] |= {
                "base": pool_seeds(base).as_json(), "r1_zero": pool_seeds(zero).as_json(), "gain": paired(zero, base).as_json(),
            }  # fmt: skip
    return found


def as_markdown(found: Mapping[str, Any]) -> str:
    """README.md."""
    rows = [
        [task, str(row["problems"]), str(row["left_out"] or ""),
         *((percent(row["base"]), percent(row["r1_zero"]), percent(row["gain"], sign="+")) if "base" in row else [""] * 3)]
        for task, row in found["tasks"].items()
    ]  # fmt: skip
    blocks = [
        "# Tasks of others, never trained",
        f"pass@1. {introduction(found)} Left out are problems whose prompts leave no room for a completion.",
        table(["task", "problems", "left out", "base", "R1-Zero", "gain"], rows),
    ]
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    sys.exit(main())
