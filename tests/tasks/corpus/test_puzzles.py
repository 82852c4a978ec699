"""Solved puzzles of the corpus: documented frequencies hold, what claims to fit fits, and careful people repeat nothing."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from itertools import islice
from typing import Any, get_args

import pytest

from cogitate.evals.steps.measures import read_steps
from cogitate.evals.text_metrics import is_mixed
from cogitate.tasks.corpus import styles
from cogitate.tasks.corpus.documents import NO_PUZZLES, Reading, documents, puzzle, write_document
from cogitate.tasks.corpus.puzzles.documents import DRAW, KINDS, REQUEST_SHARE, asked_for, search_of, solve_puzzle
from cogitate.tasks.corpus.puzzles.drills import drill
from cogitate.tasks.corpus.puzzles.voices import STEADY, Hand, draw_voices
from cogitate.tasks.corpus.styles import Habit, Population, draw_habit, draw_tries
from tests.rewards.judging import grade

HABITS: tuple[Habit, ...] = get_args(Habit)
SEARCHED = [kind for kind in DRAW if kind != "long_sums"]
EVERYBODY = Population()


def tolerance(share: float, draws: int) -> float:
    """Four standard deviations, and something for shares near 0 and 1."""
    return 4 * math.sqrt(share * (1 - share) / draws) + 4 / draws


def solved(kind: str, habit: Habit, count: int, population: Population = EVERYBODY) -> list[tuple[Any, str, str]]:
    """(puzzle, thinking, answer)."""
    rng = random.Random(f"{kind}/{habit}")
    items = [DRAW[kind](rng, "corpus") for _ in range(count)]
    worked = [solve_puzzle(rng, kind, item, habit, population) for item in items]
    return [(item, each.thinking, each.answer) for item, each in zip(items, worked, strict=True)]


def test_shares_add_up_to_one_and_no_more_than_seven_in_ten_guess() -> None:
    for shares in (KINDS.values(), styles.SEARCHERS.values()):
        assert sum(shares) == pytest.approx(1.0)
    assert {"guess", *styles.SEARCHERS} == set(HABITS) == REQUEST_SHARE.keys()
    assert Population().guessers == styles.MOST_GUESSERS == 0.7
    with pytest.raises(AssertionError):
        Population(guessers=0.8)


@pytest.mark.parametrize("guessers", [0.7, 0.2])
def test_habits_are_drawn_as_documented(guessers: float) -> None:
    rng, draws = random.Random(1), 2000
    counts = Counter[str](draw_habit(rng, Population(guessers)) for _ in range(draws))
    wanted = {"guess": guessers, **{habit: (1 - guessers) * share for habit, share in styles.SEARCHERS.items()}}
    for habit, share in wanted.items():
        assert counts[habit] / draws == pytest.approx(share, abs=tolerance(share, draws)), habit


def test_nobody_goes_back_where_nobody_shall() -> None:
    rng = random.Random(2)
    population = Population(going_back=False)
    assert {draw_habit(rng, population) for _ in range(300)} == {"guess", "one"}
    for kind in DRAW:
        for item, thinking, _ in solved(kind, "one", 40, population):
            steps = read_steps(thinking, item.problem())
            assert not steps.rejects_and_goes_on
            assert steps.self_corrections == 0
            assert not re.search("wait|oops|等等|算错|check|验算", thinking)


def test_how_many_tries_people_make() -> None:
    rng = random.Random(3)
    for habit, (least, most) in styles.TRIES.items():
        drawn = [draw_tries(rng, habit) for _ in range(400)]  # type: ignore[arg-type]
        assert (min(drawn), max(drawn)) == (least, most)


@pytest.mark.parametrize("kind", SEARCHED)
def test_who_is_careful_tries_nothing_twice(kind: str) -> None:
    for item, thinking, _ in solved(kind, "many", 25):
        steps = read_steps(
            re.split("Let me check: |Check: |Once more: |检查一下：|验算：|再算一遍：", thinking)[0], item.problem()
        )
        assert steps.distinct_tries == len(steps.tries)


@pytest.mark.parametrize("kind", SEARCHED)
def test_a_try_fits_exactly_where_it_is_a_solution(kind: str) -> None:
    rng = random.Random(4)
    for _ in range(15):
        item = DRAW[kind](rng, "corpus")
        search, voice = search_of(rng, kind, item), draw_voices(rng)[item.language]
        fitting = 0
        for candidate in islice(search.careful(rng), 60):
            _, fits = search.write(candidate, voice.first, voice, Hand(rng, STEADY))
            right = is_right(kind, item, search.answer(candidate), candidate)
            assert fits == right, (item.question, candidate)
            fitting += fits
        assert fitting <= len(item.solutions())


def is_right(kind: str, item: Any, answer: str, candidate: Any) -> bool:
    if kind == "programs":  # its grader runs programs
        return candidate in item.solutions()
    problem = item.problem()
    if problem.kind == "math":
        return answer == str(problem.gold)
    fields = {**problem.fields, "gold": problem.gold}
    return grade(problem.kind, f"<answer> {answer} </answer>", **fields).value == "right"


def test_guesses_are_as_often_right_as_a_blind_try_and_nearly_never_for_long_sums() -> None:
    for kind, most in (("countdown", 0.2), ("find_x", 0.2), ("knights", 0.35), ("programs", 0.4), ("long_sums", 0.15)):
        right = 0
        for item, thinking, answer in solved(kind, "guess", 80):
            assert thinking == ""
            if kind == "programs":
                steps = tuple((sign, int(number)) for sign, number in re.findall(r"x ([+*-]) (\d+)", answer))
                right += steps in item.solutions()
            else:
                right += is_right(kind, item, answer, None)
        assert right / 80 < most, kind


def test_some_people_change_their_language_and_most_do_not() -> None:
    mixed = [is_mixed(thinking, item.language) for item, thinking, _ in solved("countdown", "many", 120)]
    assert 0 < sum(mixed) / len(mixed) < 3 * styles.CHANGES_LANGUAGE


def test_long_sums_are_checked_by_the_inverse_operation() -> None:
    undone = 0
    for _, thinking, _ in solved("long_sums", "many", 60):
        undone += len(re.findall("check: |验算：", thinking))
    assert undone > 60
    assert not any(re.search("check: |验算：", thinking) for _, thinking, _ in solved("long_sums", "one", 40))


def test_rows_of_single_steps_are_nearly_always_right() -> None:
    rng = random.Random(5)
    rows = [row for _ in range(120) for row in re.findall(r"(\d+) ([*+-]) (\d+) = (\d+)", drill(rng))]
    wrong = sum({"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign] != int(c) for a, sign, b, c in rows)
    assert len(rows) > 300
    assert wrong / len(rows) < 0.03
    assert re.search(r"\d+ / \d+(?: leaves |余)\d+", "\n".join(drill(rng) for _ in range(20)))


def test_documents_have_as_many_puzzles_as_are_set_and_none_by_default() -> None:
    marks = re.compile(
        "each once|each number once|Each number is used once|每个数|whole number from|Find x|中找x|整数|knave|无赖|steps|步骤中"
    )
    texts = list(islice(documents(1, Reading(puzzles=0.5)), 300))
    assert texts[:20] == list(islice(documents(1, Reading(puzzles=0.5)), 20))
    share = 0.5 * (1 - KINDS["drill"] - KINDS["long_sums"])
    assert sum(bool(marks.search(text)) for text in texts) / 300 == pytest.approx(share, abs=tolerance(share, 300) + 0.03)
    assert not any(re.search("knave|无赖|each once", text) for text in islice(documents(1), 300))
    assert write_document(random.Random(9)) == write_document(random.Random(9), NO_PUZZLES)


def test_puzzles_stand_in_the_frames_of_all_documents() -> None:
    rng = random.Random(6)
    texts = [puzzle(rng, EVERYBODY) for _ in range(300)]
    assert any("<think>" in text and "</answer>" in text for text in texts)
    assert any(text.startswith("Question: ") and text.count("Answer: ") == 2 for text in texts)
    assert any("Assistant: " in text for text in texts)
    assert not any("{" in text.replace("\\boxed{", "") for text in texts)


def test_who_searches_is_far_more_often_asked_to() -> None:
    rng = random.Random(7)
    for habit in HABITS:
        asked = sum(asked_for(rng, "?", habit, "en") != "?" for _ in range(300))
        assert asked / 300 == pytest.approx(REQUEST_SHARE[habit], abs=tolerance(REQUEST_SHARE[habit], 300))
