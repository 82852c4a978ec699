"""The solved puzzles of the corpus: which puzzle, by whom, and how it is asked for. The frames are those of all documents."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from cogitate.tasks.corpus.puzzles import long_sums as sums_in_words
from cogitate.tasks.corpus.puzzles.countdown import CountdownSearch
from cogitate.tasks.corpus.puzzles.find_x import find_x_search
from cogitate.tasks.corpus.puzzles.knights import KnightsSearch
from cogitate.tasks.corpus.puzzles.programs import ProgramSearch
from cogitate.tasks.corpus.puzzles.search import Search, solve
from cogitate.tasks.corpus.styles import Habit, Population, Worked
from cogitate.tasks.puzzles import countdown, find_x, knights, long_sums, programs

KINDS = {  # share of the puzzle documents
    "countdown": 0.23,
    "find_x": 0.18,
    "knights": 0.15,
    "programs": 0.12,
    "long_sums": 0.1,
    "drill": 0.22,
}
REQUEST_SHARE: dict[str, float] = {"guess": 0.01, "one": 0.05, "few": 0.2, "many": 0.3}  # questions that ask for working
REQUESTS = {
    "en": ("Think step by step.", "Show your work.", "Try until you find it.", "Work carefully and check your answer."),
    "zh": ("请一步一步想。", "请写出过程。", "请一直试到找到为止。", "请仔细算，再检查。"),
}
DRAW: dict[str, Callable[..., Any]] = {
    "countdown": countdown.draw,
    "find_x": find_x.draw,
    "knights": knights.draw,
    "programs": programs.draw,
    "long_sums": long_sums.draw,
}
SEARCHES: dict[str, Callable[[Any], Search[Any]]] = {
    "countdown": CountdownSearch,
    "knights": KnightsSearch,
    "programs": ProgramSearch,
}


def solve_puzzle(rng: random.Random, kind: str, item: Any, habit: Habit, population: Population) -> Worked:
    """One person's solution of a puzzle."""
    if kind == "long_sums":
        return sums_in_words.solve(rng, item, habit, population)
    return solve(rng, search_of(rng, kind, item), habit, population)


def search_of(rng: random.Random, kind: str, item: Any) -> Search[Any]:
    """What this person may try."""
    if kind == "find_x":
        return find_x_search(rng, item)
    return SEARCHES[kind](item)


def asked_for(rng: random.Random, question: str, habit: Habit, language: str) -> str:
    """The question, to which those who want to see working sometimes add that they do."""
    if rng.random() >= REQUEST_SHARE[habit]:
        return question
    return f"{question}{' ' if language == 'en' else ''}{rng.choice(REQUESTS[language])}"
