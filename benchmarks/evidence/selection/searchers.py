"""One puzzle solved by somebody who searches, as the corpus has it, in the prompt before the question."""

from __future__ import annotations

import random
from typing import Any

from cogitate.evals.evaluate import Asking
from cogitate.evals.prompts import FEW_SHOT
from cogitate.evals.steps.measures import read_steps
from cogitate.evals.text_metrics import is_mixed
from cogitate.tasks.corpus.documents import untagged
from cogitate.tasks.corpus.puzzles.documents import DRAW, search_of, solve_puzzle
from cogitate.tasks.corpus.styles import Population
from cogitate.tasks.puzzles import long_sums
from cogitate.tokenizer.prompts import few_shot_prompt
from cogitate.types import Problem

LONGEST = 360  # characters of a solution: it stands in the prompt beside the question


def searched_example(problem: Problem) -> tuple[str, str]:
    """A question of the problem's family and language, and how a searcher of the corpus solves it.

    Always the same one for a problem, and another one for the next. Puzzles of the corpus have compositions that evaluation
    does not have. The solution is right, and rejects a try and goes on; in a long sum, which has no tries, it mends a slip.
    """
    rng = random.Random(f"searcher/{problem.id}")
    while True:
        item = DRAW[problem.task](rng, "corpus")
        worked = solve_puzzle(rng, problem.task, item, "many", Population())
        text = untagged(rng, worked, item.language)
        if item.language != problem.language or is_mixed(worked.thinking, item.language) or len(text) > LONGEST:
            continue
        if worked.answer in right_answers(item, problem.task) and turns(worked.thinking, item.problem()):
            return item.question, text


def right_answers(item: Any, family: str) -> set[str]:
    """Every right answer to a puzzle, as the corpus writes answers."""
    if family == long_sums.NAME:
        return {str(item.value())}
    search = search_of(random.Random(0), family, item)
    return {search.answer(each) for each in item.solutions()}


def turns(thinking: str, problem: Problem) -> bool:
    steps = read_steps(thinking, problem)
    return steps.self_corrections > 0 if problem.task == long_sums.NAME else steps.rejects_and_goes_on


SEARCHED_EXAMPLE = Asking(
    "searched_example",
    lambda problem: few_shot_prompt(problem.question, [searched_example(problem)]),
    FEW_SHOT.contract,
    FEW_SHOT.format,
    stop=FEW_SHOT.stop,
)
