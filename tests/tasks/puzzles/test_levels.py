"""What holds for every puzzle: levels, splits, languages, equal seeds, and how hard a blind search is."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from statistics import mean
from types import ModuleType
from typing import Any

import pytest

from cogitate.tasks.common import Split, draw_problems, is_held_out
from cogitate.tasks.puzzles import countdown, find_x, knights, long_sums, programs
from cogitate.tasks.puzzles.claims import FORMS, read_claim
from cogitate.tasks.puzzles.levels import LEVELS, LEVELS_TO_LEARN, Blind
from cogitate.types import Problem

MODULES: dict[str, ModuleType] = {module.NAME: module for module in (countdown, find_x, knights, programs, long_sums)}
SEARCHED = [name for name in MODULES if name != "long_sums"]
SPLITS: tuple[Split, ...] = ("corpus", "train", "eval")
COUNT = 60


def numbers_used(problem: Problem) -> str:
    return ",".join(map(str, sorted(problem.fields["numbers"])))


def conditions_told(problem: Problem) -> str:
    """Recovers the composition from the text alone."""
    equation = re.search(r"(?:x \* x|\d \* x)[^,.。，]*=[^,.。，]*", problem.question)
    if equation:
        return equation.group().replace(" ", "")
    told = [f"d{total}" for total in re.findall(r"(?:add up to |数字之和是)(\d+)", problem.question)]
    told += [f"b{more}" for more in re.findall(r"(?:backwards is |倒过来写就是)x \+ (\d+)", problem.question)]
    remainders = re.findall(r"x(?: divided by |除以)(\d+)(?: leaves |余)(\d+)", problem.question)
    return ",".join(told + [f"{modulus}r{rest}" for modulus, rest in remainders])


def claims_told(problem: Problem) -> str:
    names = list(problem.gold)
    told = re.findall(r"(\w+) says: ([^.]+)\.", problem.question) + re.findall(r"(小.)说：([^。]+)。", problem.question)
    written = []
    for _, text in told:
        claim = read_claim(text, names)
        assert claim, text
        places = [names.index(name) for name in claim.about]
        written.append(f"{claim.form}{places if FORMS[claim.form].ordered else sorted(places)}")
    return ";".join(written)


def signs_and_digits(problem: Problem) -> str:
    text = problem.id.rpartition(":")[2].replace(" ", "")
    if "*" in text:
        number, digit = text.split("*")
        return f"{number[:2]}*{digit}"
    return re.sub(r"\d+", lambda number: str(len(number.group())), text)


COMPOSITIONS: dict[str, Callable[[Problem], str]] = {
    "countdown": numbers_used,
    "find_x": conditions_told,
    "knights": claims_told,
    "long_sums": signs_and_digits,
}


def drawn(name: str, split: Split, count: int = COUNT, seed: int = 3) -> list[Problem]:
    return draw_problems([MODULES[name].TASK], count, split=split, seed=seed)


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_evaluation_has_only_compositions_absent_from_corpus_and_training(name: str) -> None:
    composition_of = COMPOSITIONS[name]
    seen = {split: {composition_of(problem) for problem in drawn(name, split)} for split in SPLITS}
    assert all(is_held_out(name, composition) for composition in seen["eval"])
    assert not any(is_held_out(name, composition) for composition in seen["corpus"] | seen["train"])
    assert len(seen["eval"]) > 20


def test_the_steps_of_an_evaluated_program_are_the_answer_of_no_learnt_one() -> None:
    rng = random.Random(4)
    for split in SPLITS:
        for _ in range(40):
            item = programs.draw(rng, split)
            assert is_held_out("programs", programs.written(item.steps)) == (split == "eval")


@pytest.mark.parametrize("name", MODULES)
def test_corpus_and_training_have_levels_1_to_3_and_evaluation_has_all_in_both_languages(name: str) -> None:
    for split in SPLITS:
        problems = drawn(name, split)
        assert {problem.fields["level"] for problem in problems} == set(LEVELS if split == "eval" else LEVELS_TO_LEARN)
        chinese = [problem for problem in problems if problem.language == "zh"]
        assert 0.05 < len(chinese) / len(problems) < 0.45
        for problem in problems:
            assert (problem.language == "zh") == bool(re.search("[\u4e00-\u9fff]", re.sub("小.", "", problem.question))) or (
                name == "long_sums" and "=" in problem.question
            )
            assert problem.task == name


@pytest.mark.parametrize("name", MODULES)
def test_equal_seeds_give_equal_problems_and_other_seeds_others(name: str) -> None:
    first, again, other = drawn(name, "train", 40), drawn(name, "train", 40), drawn(name, "train", 40, seed=4)
    assert first == again
    assert len({p.id for p in first} & {p.id for p in other}) < 15
    assert len({p.id for p in first}) == 40


@pytest.mark.parametrize("name", SEARCHED)
def test_each_level_needs_more_tries_than_the_one_before(name: str) -> None:
    rng = random.Random(5)
    tries = []
    for level in LEVELS:
        items: list[Any] = [MODULES[name].draw(rng, "eval", level) for _ in range(16)]
        assert all(item.level == level for item in items)
        tries.append(mean(item.blind().tries for item in items))
    if name == "knights":  # two, three, three, four, four people; compound claims make the second of a pair harder
        assert tries == [4, 8, 8, 16, 16]
    else:
        assert tries == sorted(tries)
        assert 4 <= tries[0] <= 12
        assert tries[4] > 4 * tries[0]


def test_each_level_of_long_sums_needs_more_single_steps() -> None:
    rng = random.Random(6)
    steps = [mean(long_sums.draw(rng, "eval", level).single_steps() for _ in range(60)) for level in LEVELS]
    assert steps == sorted(steps)


def test_a_blind_search_needs_all_candidates_over_the_right_ones() -> None:
    blind = Blind(candidates=54, right=6)
    assert blind.tries == 9
    assert blind.share == pytest.approx(1 / 9)
