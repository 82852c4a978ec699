"""Does RL select those who search? `python -m benchmarks.evidence.selection BASE R1_ZERO [R1_ZERO ...] --out DIR`.

Puzzles, many times each: base under its best prompt; base after a puzzle that a searcher of the corpus has solved; R1-Zero in
its own form. pass@1 to pass@64 by level and by family, majority votes, and what one of them solves and another does not.
Killed, the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.evidence.drawing import Model, add_arguments, carry_out, described
from benchmarks.evidence.selection.figures import BASE, SEARCHER, ZERO, figures, solved
from benchmarks.evidence.selection.page import as_markdown
from benchmarks.evidence.selection.searchers import SEARCHED_EXAMPLE, searched_example
from benchmarks.evidence.thinking import PUZZLES
from cogitate.apps.evaluate import asking_of
from cogitate.errors import DataError
from cogitate.evals.prompts import BASE_PROMPTS
from cogitate.recipe.problems import evaluation_problems
from cogitate.types import Problem

SAMPLES_TO_CHOOSE = 4  # completions of each problem by which base's prompt is chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; see carry_out."""
    parser = argparse.ArgumentParser("python -m benchmarks.evidence.selection", description=(__doc__ or "").splitlines()[0])
    add_arguments(parser, problems=300, per="in all", samples=64)
    given = parser.parse_args(arguments)
    if given.samples < 2:
        parser.error("--samples: at least 2, since one half of base's completions is compared with the other half")
    return carry_out(given, "selection", PUZZLES, evaluation_problems, measure, as_markdown)


def measure(base: Model, zeros: Sequence[Model], problems: Sequence[Problem]) -> dict[str, Any]:
    """All figures.

    Raises:
        DataError: a prompt does not fit a model's context, or nothing could be judged.
    """
    samples, forms = base.config.evaluate.samples, [asking_of("r1_zero", zero.directory) for zero in zeros]
    asked = [(base, [*BASE_PROMPTS, SEARCHED_EXAMPLE]), *((zero, [form]) for zero, form in zip(zeros, forms, strict=True))]
    for model, prompts in asked:
        fit = model.fitting(problems, prompts)
        if fit.left_out:
            raise DataError(f"{model.name}: {fit.line()}; lower --max-new-tokens")
    best, by_prompt = base.best_of(BASE_PROMPTS, problems, min(samples, SAMPLES_TO_CHOOSE))
    ways = {
        BASE: [solved(base.ask(problems, best, samples))] * len(zeros),
        SEARCHER: [solved(base.ask(problems, SEARCHED_EXAMPLE, samples))] * len(zeros),
        ZERO: [solved(zero.ask(problems, form, samples)) for zero, form in zip(zeros, forms, strict=True)],
    }
    return {
        **described(base, best, by_prompt, zeros),
        "problems": len(problems),
        "examples": examples(problems),
        **figures(problems, ways, samples),
    }


def examples(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Of each family and language the searcher's solution that the first problem's prompt shows."""
    first = {(problem.task, problem.language): problem for problem in reversed(problems)}
    shown = {key: searched_example(first[key]) for key in sorted(first)}
    return [
        {"family": family, "language": language, "question": question, "solution": solution}
        for (family, language), (question, solution) in shown.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
