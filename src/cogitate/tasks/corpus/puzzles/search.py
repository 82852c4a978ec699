"""One person's search: try, compare, go on, and stop at what fits or when patience is at its end."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Protocol, TypeVar

from cogitate.tasks.corpus.puzzles.voices import STEADY, Hand, Voice, draw_voices, hand_of
from cogitate.tasks.corpus.styles import CHANGES_LANGUAGE, GIVES_UP_ALOUD, LOOKS_BACK, Habit, Population, Worked, draw_tries

C = TypeVar("C")


class Search(Protocol[C]):
    """What there is to try in a puzzle."""

    @property
    def language(self) -> str:
        """The question's."""

    def guess(self, rng: random.Random) -> str:
        """The answer of somebody who tries nothing."""

    def blind(self, rng: random.Random) -> Iterator[C]:
        """Candidates as they come to mind, with repeats."""

    def careful(self, rng: random.Random) -> Iterator[C]:
        """Candidates of somebody who goes through them and does none twice."""

    def write(self, candidate: C, lead: str, voice: Voice, hand: Hand) -> tuple[str, bool]:
        """A try in words, and whether it fits as far as its writer can tell."""

    def answer(self, candidate: C) -> str:
        """The final answer that a candidate is."""


def solve(rng: random.Random, search: Search[C], habit: Habit, population: Population) -> Worked:
    """One person's solution."""
    if habit == "guess":
        return Worked("", search.guess(rng))
    voices, hand = draw_voices(rng), hand_of(rng, going_back=population.going_back)
    changes = rng.random() < CHANGES_LANGUAGE
    candidates = search.careful(rng) if habit == "many" else search.blind(rng)
    written: list[str] = []
    candidate, fits = None, False
    for candidate in itertools.islice(candidates, draw_tries(rng, habit)):
        voice = voices[rng.choice(("en", "zh")) if changes else search.language]
        text, fits = search.write(candidate, voice.then if written else voice.first, voice, hand)
        written.append(text)
        if fits:
            break
    assert candidate is not None, search
    voice = voices[search.language]
    if fits and habit == "many" and rng.random() < LOOKS_BACK:
        written.append(search.write(candidate, voice.check, voice, Hand(rng, STEADY))[0])
    if not fits and habit != "one" and rng.random() < GIVES_UP_ALOUD:
        written.append(voice.giving_up)
    return Worked("".join(written).strip(), search.answer(candidate))
