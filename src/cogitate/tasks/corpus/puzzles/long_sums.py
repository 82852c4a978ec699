"""Long sums and products in words: step by step, where some check each result by the inverse operation and find their slips."""

from __future__ import annotations

import random

from cogitate.tasks.corpus.puzzles.voices import COMMA, STEADY, STOP, Hand, Voice, draw_voices, slipped
from cogitate.tasks.corpus.styles import CHANGES_LANGUAGE, CHECKED_STEPS, SLIP_IN_SUMS, Habit, Population, Worked
from cogitate.tasks.puzzles.expressions import apply
from cogitate.tasks.puzzles.long_sums import LongSum, Product

LUCKY_GUESS = 0.04
NEAR = (1, 2, 10, 11, 20, 100)  # how far from the truth other guesses are
INVERSE = {"+": "-", "-": "+"}
UNDO = {"en": "check: ", "zh": "验算："}
AGAIN = {"en": ", not {n}. Again: ", "zh": "，不是{n}。再算："}
RIGHT = {"en": ", right", "zh": "，没错"}


def solve(rng: random.Random, item: LongSum | Product, habit: Habit, population: Population) -> Worked:
    """One person's solution: a guess, plain steps, or steps some of which are undone to check them."""
    if habit == "guess":
        return Worked("", str(guess(rng, item)))
    voices, changes = draw_voices(rng), rng.random() < CHANGES_LANGUAGE
    checked = CHECKED_STEPS[habit] if population.going_back else 0.0

    def write(left: int, sign: str, right: int) -> int:
        voice = voices[rng.choice(("en", "zh")) if changes else item.language]
        text, result = write_step(rng, left, sign, right, voice, checked=checked)
        texts.append(text + STOP[voice.language])
        return result

    texts: list[str] = []
    if isinstance(item, LongSum):
        total = item.start
        for sign, number in item.steps:
            total = write(total, sign, number)
    else:
        total = 0
        for part, _ in item.parts():
            product = write(part, "*", item.digit)
            total = write(total, "+", product) if total else product
    return Worked("".join(texts).strip(), str(total))


def guess(rng: random.Random, item: LongSum | Product) -> int:
    """Near the truth, and seldom it."""
    right = item.value()
    if rng.random() < LUCKY_GUESS:
        return right
    return rng.choice([wrong for near in NEAR for wrong in (right - near, right + near) if wrong >= 0])


def write_step(rng: random.Random, left: int, sign: str, right: int, voice: Voice, *, checked: float) -> tuple[str, int]:
    """A step, perhaps with a check; a slip is found by the check where there is one.

    Args:
        checked: share of steps that are checked; 0 for somebody who never does.
    """
    language, value, written = voice.language, apply(left, sign, right), f"{left} {sign} {right}"
    if not checked or sign == "*":
        return Hand(rng, {**STEADY, "unnoticed": SLIP_IN_SUMS["unnoticed"]}).step(written, value, voice)

    def undone(result: int) -> tuple[str, int]:
        back = apply(result, INVERSE[sign], right)
        return f"{COMMA[language]}{UNDO[language]}{result} {INVERSE[sign]} {right} = {back}", back

    drawn = rng.random()
    wrong = slipped(rng, value)
    if drawn < SLIP_IN_SUMS["unnoticed"]:
        return f"{written} = {wrong}", wrong
    check, back = undone(wrong)
    if drawn < SLIP_IN_SUMS["unnoticed"] + SLIP_IN_SUMS["noticed"] and back >= 0:
        return f"{written} = {wrong}{check}{AGAIN[language].format(n=left)}{written} = {value}", value
    if rng.random() < checked:
        return f"{written} = {value}{undone(value)[0]}{RIGHT[language]}", value
    return f"{written} = {value}", value
