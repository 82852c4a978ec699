"""Programs from examples in words: Try + 3, * 2: 1 + 3 = 4, 4 * 2 = 8, 8? yes. 4 + 3 = 7, 7 * 2 = 14, 11? no."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from cogitate.tasks.corpus.puzzles.voices import COLON, COMMA, Hand, Voice
from cogitate.tasks.puzzles.expressions import apply
from cogitate.tasks.puzzles.programs import Induction, Step, written

Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class ProgramSearch:
    """Orders of the given steps are tried."""

    item: Induction

    @property
    def language(self) -> str:
        return self.item.language

    def guess(self, rng: random.Random) -> str:
        return program(tuple(rng.sample(self.item.menu, len(self.item.steps))))

    def blind(self, rng: random.Random) -> Iterator[Steps]:
        while True:
            yield tuple(rng.sample(self.item.menu, len(self.item.steps)))

    def careful(self, rng: random.Random) -> Iterator[Steps]:
        """In the order in which the steps are given, or in any order."""
        everything = self.item.candidates()
        if rng.random() < 0.5:
            rng.shuffle(everything)
        return iter(everything)

    def write(self, candidate: Steps, lead: str, voice: Voice, hand: Hand) -> tuple[str, bool]:
        """Both examples; the second only where the first one fits."""
        text = f"{lead}{written(candidate)}{COLON[voice.language]}"
        for x, y in self.item.pairs:
            value, parts = x, []
            for sign, number in candidate:
                part, value = hand.step(f"{value} {sign} {number}", apply(value, sign, number), voice)
                parts.append(part)
            text += COMMA[voice.language].join(parts) + voice.verdict(value == y, y)
            if value != y:
                return text, False
        return text, True

    def answer(self, candidate: Steps) -> str:
        return program(candidate)


def program(steps: Steps) -> str:
    """One assignment a step."""
    lines = [f"    x = x {sign} {number}" for sign, number in steps]
    return "\n".join(["```python", "def f(x):", *lines, "    return x", "```"])
