"""Multiple choice over a small closed set of true facts, each asked in several forms."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from cogitate.tasks.common import Split, Task, belongs
from cogitate.types import Problem

NAME = "choice"
LETTERS = "ABCD"

CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "China": "Beijing", "Egypt": "Cairo",
    "Greece": "Athens", "Norway": "Oslo", "Peru": "Lima", "Cuba": "Havana", "Kenya": "Nairobi", "Russia": "Moscow",
    "Austria": "Vienna", "Poland": "Warsaw", "Portugal": "Lisbon", "Ireland": "Dublin",
}  # fmt: skip
YOUNG = {
    "dog": "puppy", "cat": "kitten", "cow": "calf", "sheep": "lamb", "horse": "foal", "lion": "cub", "duck": "duckling",
    "goat": "kid", "pig": "piglet", "frog": "tadpole",
}  # fmt: skip
OPPOSITES = {
    "hot": "cold", "big": "small", "fast": "slow", "old": "new", "dark": "light", "wet": "dry", "hard": "soft", "rich": "poor",
    "early": "late", "loud": "quiet", "empty": "full", "deep": "shallow",
}  # fmt: skip
SYMBOLS = {
    "gold": "Au", "silver": "Ag", "iron": "Fe", "oxygen": "O", "carbon": "C", "hydrogen": "H", "helium": "He", "copper": "Cu",
    "lead": "Pb", "tin": "Sn",
}  # fmt: skip
NEXT_DAY = {
    "Monday": "Tuesday", "Tuesday": "Wednesday", "Wednesday": "Thursday", "Thursday": "Friday", "Friday": "Saturday",
    "Saturday": "Sunday", "Sunday": "Monday",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Relation:
    """Facts key -> value, the forms that ask for the value, those that ask for the key, and the plain statement."""

    facts: dict[str, str]
    forward: tuple[str, ...]
    backward: tuple[str, ...]
    statement: str


RELATIONS = {
    "capital": Relation(CAPITALS, ("What is the capital of {key}?", "Which city is the capital of {key}?"),
                        ("{value} is the capital of which country?", "Which country has the capital {value}?"),
                        "The capital of {key} is {value}."),
    "young": Relation(YOUNG, ("What is a young {key} called?", "Which word names a young {key}?"),
                      ("A {value} is the young of which animal?", "Which animal was once a {value}?"),
                      "A young {key} is called {value}."),
    "opposite": Relation(OPPOSITES, ("What is the opposite of {key}?", "Which word means the opposite of {key}?"),
                         ("{value} is the opposite of which word?", "Which word has the opposite {value}?"),
                         "The opposite of {key} is {value}."),
    "symbol": Relation(SYMBOLS, ("What is the symbol of {key}?", "Which symbol stands for {key}?"),
                       ("{value} is the symbol of what?", "What does the symbol {value} stand for?"),
                       "The symbol of {key} is {value}."),
    "day": Relation(NEXT_DAY, ("Which day comes after {key}?", "What day follows {key}?"),
                    ("{value} comes after which day?", "Which day comes before {value}?"),
                    "The day after {key} is {value}."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quiz:
    """A question with four options; letter is the right one, statement the fact it rests on."""

    question: str
    options: tuple[str, ...]
    letter: str
    statement: str

    def answer(self) -> str:
        return self.options[LETTERS.index(self.letter)]

    def problem(self) -> Problem:
        return Problem(id=f"{NAME}:{self.question}", task=NAME, kind="choice", question=self.question, gold=self.letter)


def draw(rng: random.Random, split: Split) -> Quiz:
    """A quiz whose composition (a fact in a form of asking) belongs to the split.

    Every fact is in the corpus, in other forms: evaluation asks what is known, in a way never seen.
    """
    while True:
        relation = RELATIONS[rng.choice(list(RELATIONS))]
        key = rng.choice(list(relation.facts))
        form = rng.choice(relation.forward + relation.backward)
        if belongs(split, NAME, f"{form}:{key}"):
            break
    value = relation.facts[key]
    right, others = (value, relation.facts.values()) if form in relation.forward else (key, relation.facts.keys())
    options = [right, *rng.sample([other for other in others if other != right], 3)]
    rng.shuffle(options)
    question = f"{form.format(key=key, value=value)} {listed(options)}."
    statement = relation.statement.format(key=key, value=value)
    return Quiz(question, tuple(options), LETTERS[options.index(right)], statement)


def listed(options: Sequence[str]) -> str:
    """Rome (A), Lima (B): the letter after its word, so that whoever has said the word can read on to the letter."""
    return ", ".join(f"{option} ({letter})" for letter, option in zip(LETTERS, options, strict=True))


def generate(rng: random.Random, split: Split) -> Problem:
    return draw(rng, split).problem()


TASK = Task(NAME, generate)
