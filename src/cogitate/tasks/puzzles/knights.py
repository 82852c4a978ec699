"""Knights and knaves: knights say what is true, knaves what is false; two to four people, one claim each, one solution."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cogitate.tasks.common import Split, Task, belongs
from cogitate.tasks.puzzles.claims import FORMS, ROLES, Claim, Roles
from cogitate.tasks.puzzles.levels import Blind, draw_language, draw_level
from cogitate.types import Problem

NAME = "knights"
LEVELS = {1: (2, True), 2: (3, False), 3: (3, True), 4: (4, False), 5: (4, True)}  # people, and whether claims may be compound
NAMES = {
    "en": ("Tom", "Ann", "Ben", "Mia", "Sam", "Eva", "Max", "Lily"),
    "zh": ("小明", "小红", "小华", "小丽", "小刚", "小美"),
}
QUESTIONS = {
    "en": (
        "Knights say what is true, knaves say what is false. {told} Who is a knight and who is a knave?",
        "Everybody is a knight, who is always right, or a knave, who is always wrong. {told} Who is what?",
    ),
    "zh": (
        "骑士说真话，无赖说假话。{told}谁是骑士，谁是无赖？",
        "每个人要么是骑士，只说真话，要么是无赖，只说假话。{told}他们是什么人？",
    ),
}
SAYS = {"en": "{name} says: {claim}. ", "zh": "{name}说：{claim}。"}


@dataclass(frozen=True, slots=True)
class Island:
    """people in the order they speak, each with the claim made."""

    people: tuple[str, ...]
    claims: tuple[Claim, ...]
    level: int
    language: str
    question: str

    def solutions(self) -> list[dict[str, bool]]:
        """All roles that fit what is said."""
        return fitting(self.people, self.claims)

    def blind(self) -> Blind:
        return Blind(2 ** len(self.people), len(self.solutions()))

    def problem(self) -> Problem:
        (roles,) = self.solutions()
        return Problem(
            id=f"{NAME}:{self.level}:{self.question}",
            task=NAME,
            kind="logic",
            question=self.question,
            gold=roles,
            language=self.language,
            fields={"level": self.level},
        )


def all_roles(people: Sequence[str]) -> Iterator[dict[str, bool]]:
    for roles in itertools.product((True, False), repeat=len(people)):
        yield dict(zip(people, roles, strict=True))


def fitting(people: Sequence[str], claims: Sequence[Claim]) -> list[dict[str, bool]]:
    return [
        roles
        for roles in all_roles(people)
        if all(fits(name, claim, roles) for name, claim in zip(people, claims, strict=True))
    ]


def fits(speaker: str, claim: Claim, roles: Roles) -> bool:
    """Whether a claim is true exactly if its speaker is a knight."""
    return claim.is_true(roles) == roles[speaker]


def draw(rng: random.Random, split: Split, level: int | None = None) -> Island:
    """A puzzle whose composition (the forms of the claims and whom they are about, without names) belongs to the split."""
    level = draw_level(rng, split) if level is None else level
    language = draw_language(rng)
    count, compound = LEVELS[level]
    people = tuple(rng.sample(NAMES[language], count))
    while True:
        claims = tuple(draw_claim(rng, people, speaker, compound) for speaker in people)
        if compound and not any(FORMS[claim.form].compound for claim in claims):
            continue
        if len(fitting(people, claims)) == 1 and belongs(split, NAME, composition_of(people, claims)):
            break
    told = "".join(
        SAYS[language].format(name=name, claim=claim.words(language)) for name, claim in zip(people, claims, strict=True)
    )
    return Island(people, claims, level, language, rng.choice(QUESTIONS[language]).format(told=told.strip()))


def draw_claim(rng: random.Random, people: tuple[str, ...], speaker: str, compound: bool) -> Claim:
    """A claim about others, or about the speaker and another one."""
    form = rng.choice([name for name, form in FORMS.items() if compound or not form.compound])
    others = [name for name in people if name != speaker]
    about = rng.sample(others if FORMS[form].people == 1 else list(people), FORMS[form].people)
    return Claim(form, tuple(about))


def composition_of(people: tuple[str, ...], claims: Sequence[Claim]) -> str:
    """0 stands for who speaks first."""
    places = [[people.index(name) for name in claim.about] for claim in claims]
    told = [place if FORMS[claim.form].ordered else sorted(place) for claim, place in zip(claims, places, strict=True)]
    return ";".join(f"{claim.form}{place}" for claim, place in zip(claims, told, strict=True))


def answer(roles: Roles, language: str) -> str:
    """Ann is a knight, Ben is a knave."""
    if language == "en":
        return ", ".join(f"{name} is a {ROLES['en'][role]}" for name, role in roles.items())
    return "，".join(f"{name}是{ROLES['zh'][role]}" for name, role in roles.items())


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate)
