"""Who is taller: three or four people, the comparisons of neighbours in any order and direction, a rank to name."""

from __future__ import annotations

import random
from dataclasses import dataclass

from cogitate.tasks.common import Split, Task, belongs
from cogitate.types import Problem

NAME = "logic"
PEOPLE = {3: 0.55, 4: 0.45}  # how many people, and how often
CHINESE_SHARE = 0.2

NAMES = {
    "en": ("Tom", "Ann", "Ben", "Mia", "Sam", "Eva", "Max", "Lily"),
    "zh": ("小明", "小红", "小华", "小丽", "小刚", "小美"),
}
MORE = {"en": "{a} is taller than {b}.", "zh": "{a}比{b}高。"}
LESS = {"en": "{a} is shorter than {b}.", "zh": "{a}比{b}矮。"}
ASKED = {
    "en": {"first": "Who is the tallest?", "second": "Who is the second tallest?", "last": "Who is the shortest?"},
    "zh": {"first": "谁最高？", "second": "谁第二高？", "last": "谁最矮？"},
}


@dataclass(frozen=True, slots=True)
class Order:
    """people from tallest to shortest; premises as (taller, shorter) in the order they are told; rank is asked."""

    people: tuple[str, ...]
    premises: tuple[tuple[str, str], ...]
    rank: str
    language: str
    question: str

    def answer(self) -> str:
        return self.people[{"first": 0, "second": 1, "last": -1}[self.rank]]

    def problem(self) -> Problem:
        return Problem(
            id=f"{NAME}:{self.question}",
            task=NAME,
            kind="exact",
            question=self.question,
            gold=self.answer(),
            language=self.language,
        )


def draw(rng: random.Random, split: Split) -> Order:
    """An order whose composition (which premise stands where, in which direction, and what is asked) belongs to the split."""
    language = "zh" if rng.random() < CHINESE_SHARE else "en"
    while True:
        count = rng.choices(list(PEOPLE), weights=list(PEOPLE.values()))[0]
        places = list(range(count - 1))
        rng.shuffle(places)
        turned = [rng.random() < 0.4 for _ in places]
        rank = rng.choice(("first", "second", "last"))
        composition = ",".join(f"{place}{'<' if turn else '>'}" for place, turn in zip(places, turned, strict=True))
        if belongs(split, NAME, f"{composition}:{rank}"):
            break
    people = tuple(rng.sample(NAMES[language], count))
    premises = tuple((people[place], people[place + 1]) for place in places)
    told = [
        LESS[language].format(a=shorter, b=taller) if turn else MORE[language].format(a=taller, b=shorter)
        for (taller, shorter), turn in zip(premises, turned, strict=True)
    ]
    joiner = " " if language == "en" else ""
    question = joiner.join([*told, ASKED[language][rank]])
    return Order(people, premises, rank, language, question)


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate)
