"""Countdown in words: Try 4 + 10 = 14, 14 + 1 = 15, 6? no."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from cogitate.tasks.corpus.puzzles.voices import COMMA, Hand, Voice
from cogitate.tasks.corpus.styles import CARELESS_GUESS
from cogitate.tasks.puzzles.countdown import Countdown
from cogitate.tasks.puzzles.expressions import Chain, apply, chains, random_chains, step


@dataclass(frozen=True, slots=True)
class CountdownSearch:
    """Chains of operations are tried."""

    item: Countdown

    @property
    def language(self) -> str:
        return self.item.language

    def guess(self, rng: random.Random) -> str:
        """An expression that uses the numbers; a careless one forgets the last of them."""
        numbers = list(self.item.numbers)
        if rng.random() < CARELESS_GUESS:
            numbers.pop(rng.randrange(len(numbers)))
        return next(random_chains(rng, numbers)).expression()

    def blind(self, rng: random.Random) -> Iterator[Chain]:
        return random_chains(rng, self.item.numbers)

    def careful(self, rng: random.Random) -> Iterator[Chain]:
        """One after the other in order, or without any order; none has the expression of another one."""
        everything = list(chains(self.item.numbers))
        if rng.random() < 0.5:
            rng.shuffle(everything)
        else:
            start = rng.randrange(len(everything))
            everything = everything[start:] + everything[:start]
        return iter({chain.expression(): chain for chain in everything}.values())

    def write(self, candidate: Chain, lead: str, voice: Voice, hand: Hand) -> tuple[str, bool]:
        texts: list[str] = []
        before = stated = candidate.steps[0][0]
        for index, (left, operator, right, result) in enumerate(candidate.steps):
            if index and stated != before:  # after a slip the writer goes on with what is written
                left, operator, right, _ = step(stated, operator, right if left == before else left)
            text, stated = hand.step(f"{left} {operator} {right}", apply(left, operator, right), voice)
            texts.append(text)
            before = result
        fits = stated == self.item.target
        return lead + COMMA[voice.language].join(texts) + voice.verdict(fits, self.item.target), fits

    def answer(self, candidate: Chain) -> str:
        return candidate.expression()
