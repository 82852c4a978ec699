"""Knights and knaves: one solution, as a second reading of the question's text finds; every claim by its truth table."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable

import pytest

from cogitate.rewards.graders.knights_and_knaves import grade_knights_and_knaves
from cogitate.tasks.puzzles import knights
from cogitate.tasks.puzzles.claims import FORMS, Claim, read_claim
from cogitate.tasks.puzzles.levels import LEVELS

ENGLISH: dict[
    str, Callable[..., bool]
] = {  # pattern -> truth of the two people's roles (one: the second is ignored), written apart from the task
    r"if (\w+) is a knight, (\w+) is a knight": lambda a, b: not a or b,
    r"(\w+) is a knight and (\w+) is a knave": lambda a, b: a and not b,
    r"(\w+) and (\w+) are the same": lambda a, b: a is b,
    r"(\w+) and (\w+) are different": lambda a, b: a is not b,
    r"(\w+) and (\w+) are both knights": lambda a, b: a and b,
    r"(\w+) and (\w+) are both knaves": lambda a, b: not (a or b),
    r"(\w+) or (\w+) is a knave": lambda a, b: not a or not b,
    r"(\w+) or (\w+) is a knight": lambda a, b: a or b,
    r"(\w+) is a knight": lambda a: a,
    r"(\w+) is a knave": lambda a: not a,
}


def truth(text: str, roles: dict[str, bool]) -> bool:
    for pattern, holds in ENGLISH.items():
        match = re.fullmatch(pattern, text)
        if match:
            return bool(holds(*(roles[name] for name in match.groups())))
    raise AssertionError(text)


@pytest.mark.parametrize("level", LEVELS)
def test_exactly_one_assignment_of_roles_is_consistent(level: int) -> None:
    rng = random.Random(level)
    for _ in range(25):
        problem = knights.draw(rng, "train" if rng.random() < 0.5 else "eval", level).problem()
        if problem.language == "zh":
            continue
        said = re.findall(r"(\w+) says: ([^.]+)\.", problem.question)
        names = [name for name, _ in said]
        assert len(names) == {1: 2, 2: 3, 3: 3, 4: 4, 5: 4}[level]
        consistent = []
        for values in itertools.product((True, False), repeat=len(names)):
            roles = dict(zip(names, values, strict=True))
            if all(truth(text, roles) == roles[name] for name, text in said):
                consistent.append(roles)
        assert consistent == [problem.gold], problem.question


def test_the_answer_is_graded_right_and_every_other_one_wrong_in_both_languages() -> None:
    rng = random.Random(1)
    seen = set()
    for _ in range(24):
        item = knights.draw(rng, "train", rng.choice((1, 2)))
        problem = item.problem()
        seen.add(problem.language)
        for roles in knights.all_roles(item.people):
            text = f"<think>hm</think><answer> {knights.answer(roles, problem.language)} </answer>"
            assert (grade_knights_and_knaves(text, problem.gold).value == "right") == (roles == problem.gold), text
    assert seen == {"en", "zh"}


def test_every_claim_is_read_as_it_is_written() -> None:
    for names in (("Ann", "Ben", "Tom"), ("小明", "小红", "小华")):
        language = "en" if names[0] == "Ann" else "zh"
        for form, facts in FORMS.items():
            for about in itertools.permutations(names, facts.people):
                claim = Claim(form, about)
                assert read_claim(claim.words(language), names) == claim
    assert read_claim("Ann is a spy", ("Ann",)) is None
    assert read_claim("Eve is a knave", ("Ann",)) is None


def test_nobody_says_something_about_himself_alone() -> None:
    rng = random.Random(2)
    for _ in range(100):
        item = knights.draw(rng, "train")
        assert all(set(claim.about) != {name} for name, claim in zip(item.people, item.claims, strict=True))
