"""A puzzle solved by a searcher of the corpus, in the prompt before the question."""

from __future__ import annotations

import random

import pytest

from benchmarks.evidence.selection.searchers import LONGEST, SEARCHED_EXAMPLE, right_answers, searched_example, turns
from cogitate.evals.text_metrics import is_mixed
from cogitate.tasks.corpus.puzzles.documents import DRAW
from cogitate.tasks.mixture import PUZZLES
from cogitate.types import Problem

FAMILIES = [family.NAME for family in PUZZLES]


def asked(family: str, language: str) -> Problem:
    rng = random.Random(7)
    while (item := DRAW[family](rng, "eval")).language != language:
        pass
    problem: Problem = item.problem()
    return problem


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_of_the_family_and_language_turns_and_is_another_puzzle(family: str, language: str) -> None:
    problem = asked(family, language)
    question, solution = searched_example(problem)
    assert question != problem.question
    assert any("\u4e00" <= character <= "\u9fff" for character in question) == (language == "zh")
    assert not is_mixed(solution, language)
    assert len(solution) <= LONGEST
    prompt = SEARCHED_EXAMPLE.prompt_of(problem)
    assert prompt == f"Question: {question}\nAnswer: {solution}\n\nQuestion: {problem.question}\nAnswer:"


def test_two_problems_are_shown_different_puzzles() -> None:
    rng = random.Random(3)
    shown = {searched_example(DRAW["countdown"](rng, "eval").problem()) for _ in range(5)}
    assert len(shown) == 5


def test_a_right_answer_is_any_that_fits() -> None:
    item = DRAW["countdown"](random.Random(1), "corpus")
    answers = right_answers(item, "countdown")
    assert item.problem().gold in answers
    assert all(eval(answer) == item.target for answer in answers)
    total = DRAW["long_sums"](random.Random(1), "corpus")
    assert right_answers(total, "long_sums") == {str(total.problem().gold)}


def test_a_long_sum_turns_where_a_slip_is_mended() -> None:
    problem = asked("long_sums", "en")
    assert turns("31 + 24 = 45, check: 45 - 24 = 21, not 31. Again: 31 + 24 = 55.", problem)
    assert not turns("31 + 24 = 55, check: 55 - 24 = 31, right.", problem)
