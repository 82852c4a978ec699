"""Workings of multiple choice: a careless letter, a remembered word, or the fact and the options looked at."""

from __future__ import annotations

import random

from cogitate.tasks.corpus.styles import SLIP_FOUND, Style, Worked, is_wrong
from cogitate.tasks.generators.choice import LETTERS, Quiz, listed

CARELESS_STEPS = 3  # a quiz answered at a glance is as often wrong as a problem of this many steps


def solve(rng: random.Random, item: Quiz, style: Style) -> Worked:
    """One author's solution. The usual guess is C."""
    wrong = is_wrong(rng, style, CARELESS_STEPS)
    letter = item.letter
    if wrong:
        letter = "C" if item.letter != "C" and style == "bare" else rng.choice([x for x in LETTERS if x != item.letter])
    if style == "bare":
        return Worked("", letter)
    word = item.options[LETTERS.index(letter)]
    if style == "short":
        return Worked(f"It is {word} ({letter}).", letter)
    if style == "mixed":
        return Worked(f"想一想。{item.statement} 看选项：{word} ({letter})。所以选{letter}。", letter)
    lines = f"{item.statement} The options are {listed(item.options)}. "
    if style == "checked":
        if rng.random() < SLIP_FOUND:
            other = rng.choice([x for x in LETTERS if x != letter])
            lines += f"So {other}? Wait, {item.options[LETTERS.index(other)]} ({other}) is not {word}. "
        else:
            lines += f"Let me check: {word} ({letter}). Right. "
    return Worked(f"{lines}So {word} ({letter}).", letter)
