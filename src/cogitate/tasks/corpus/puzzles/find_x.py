"""Find x in words: Try 8: 8 / 3 leaves 2, 2? yes. 8 / 5 leaves 3, 4? no."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from cogitate.tasks.corpus.puzzles.voices import COLON, COMMA, LEAVES, Hand, Voice
from cogitate.tasks.puzzles.conditions import Equation, Remainder, holds
from cogitate.tasks.puzzles.find_x import FindX

TOO = {"en": {True: "Too small. ", False: "Too large. "}, "zh": {True: "太小了。", False: "太大了。"}}


@dataclass(frozen=True, slots=True)
class FindXSearch:
    """Values of x are tried.

    Attributes:
        first_known: the tries are of values that fit the first of two conditions, and only the second one is checked.
        guided: an equation's tries move up where the last one was too small, and down where it was too large.
    """

    item: FindX
    first_known: bool
    guided: bool

    @property
    def language(self) -> str:
        return self.item.language

    def guess(self, rng: random.Random) -> str:
        return str(rng.randint(self.item.low, self.item.high))

    def blind(self, rng: random.Random) -> Iterator[int]:
        if self.guided:
            yield from self._narrowing(rng)
        while True:
            yield rng.choice(self._values())

    def careful(self, rng: random.Random) -> Iterator[int]:
        if self.guided:
            return self._narrowing(rng)
        values = self._values()
        kind = rng.choice(("up", "up", "down", "random"))
        if kind == "random":
            rng.shuffle(values)
        return iter(values[::-1] if kind == "down" else values)

    def write(self, candidate: int, lead: str, voice: Voice, hand: Hand) -> tuple[str, bool]:
        """Conditions in turn, up to the first that does not hold."""
        text = f"{lead}{candidate}{COLON[voice.language]}"
        conditions = self.item.conditions[1:] if self.first_known else self.item.conditions
        for condition in conditions:
            equals = LEAVES[voice.language] if isinstance(condition, Remainder) else " = "
            parts, values = [], []
            for left, value in condition.calculations(candidate):
                part, stated = hand.step(left, value, voice, equals=equals)
                parts.append(part)
                values.append(stated)
            wanted = condition.wanted(candidate)
            if isinstance(condition, Equation) and not isinstance(condition.right, int):
                wanted = values[len(condition.right.calculations(candidate)) - 1]
            fits = values[-1] == wanted
            text += COMMA[voice.language].join(parts) + voice.verdict(fits, wanted)
            if not fits:
                return text + (TOO[voice.language][values[-1] < wanted] if self.guided else ""), False
        return text, True

    def answer(self, candidate: int) -> str:
        return str(candidate)

    def _values(self) -> list[int]:
        values = list(range(self.item.low, self.item.high + 1))
        return [x for x in values if holds(self.item.conditions[0], x)] if self.first_known else values

    def _narrowing(self, rng: random.Random) -> Iterator[int]:
        """The middle, or near it, of what is left."""
        low, high, (x,) = self.item.low, self.item.high, self.item.solutions()
        while low <= high:
            middle = min(high, max(low, (low + high) // 2 + rng.choice((-1, 0, 0, 1))))
            yield middle
            low, high = (middle + 1, high) if middle < x else (low, middle - 1)


def find_x_search(rng: random.Random, item: FindX) -> FindXSearch:
    """One person's way to search."""
    two = len(item.conditions) == 2
    return FindXSearch(item, first_known=two and rng.random() < 0.4, guided=not two and rng.random() < 0.6)
