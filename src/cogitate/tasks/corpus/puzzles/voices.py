"""The words in which one person tries things, in both languages, and the steps as this person writes them down."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from cogitate.tasks.corpus.styles import SLIP

FIRST = {"en": ("Try ", "Maybe ", "What about ", "Let me try "), "zh": ("试", "试试", "也许", "先试")}
THEN = {
    "en": ("Try ", "Next ", "What about ", "Then ", "Hmm, try ", "Or "),
    "zh": ("再试", "那么", "试", "再看", "或者"),
}
# What is wanted stands between the result and the verdict on it, always in the same place: to compare two numbers by their
# digits is the hardest of the single steps for a small model.
COMPARED = {"en": ", {wanted}? {verdict}. ", "zh": "，{wanted}？{verdict}。"}
VERDICTS = {
    "en": (("no", "yes"), ("not yet", "yes"), ("no", "that fits"), ("wrong", "right")),
    "zh": (("不对", "对"), ("不是", "是"), ("还不行", "行"), ("不对", "正好")),
}
WAIT = {
    "en": (", wait, ", ", no, that is wrong, ", ", wait, that is wrong, ", ", oops, "),
    "zh": ("，等等，", "，不对，", "，等等，不对，", "，算错了，"),
}
CHECK = {"en": ("Let me check: ", "Check: ", "Once more: "), "zh": ("检查一下：", "验算：", "再算一遍：")}
GIVING_UP = {
    "en": ("I give up. ", "I do not find it. ", "I take the last one. "),
    "zh": ("我放弃了。", "找不到。", "就用最后一个吧。"),
}
COMMA, STOP, COLON = {"en": ", ", "zh": "，"}, {"en": ". ", "zh": "。"}, {"en": ": ", "zh": "："}
LEAVES = {"en": " leaves ", "zh": "余"}


@dataclass(frozen=True, slots=True)
class Voice:
    """One person's words in one language; `first` and `then` lead a try."""

    language: str
    first: str
    then: str
    verdicts: tuple[str, str]
    wait: str
    check: str
    giving_up: str

    def verdict(self, is_right: bool, target: int) -> str:
        """What follows a result."""
        return COMPARED[self.language].format(wanted=target, verdict=self.verdicts[is_right])


def draw_voices(rng: random.Random) -> dict[str, Voice]:
    """One person's words in each language."""
    return {language: _draw_voice(rng, language) for language in ("en", "zh")}


def _draw_voice(rng: random.Random, language: str) -> Voice:
    first, then, wait, check, giving_up = (rng.choice(table[language]) for table in (FIRST, THEN, WAIT, CHECK, GIVING_UP))
    return Voice(language, first, then, rng.choice(VERDICTS[language]), wait, check, giving_up)


@dataclass(frozen=True, slots=True)
class Hand:
    """Writes single steps, seldom with a slip: most slips are noticed at once and mended.

    Attributes:
        slips: share of steps with a slip that is noticed, and with one that is not.
    """

    rng: random.Random
    slips: Mapping[str, float]

    def step(self, left: str, value: int, voice: Voice, *, equals: str = " = ") -> tuple[str, int]:
        """`4 + 10 = 14`, and the value that the writer goes on with."""
        drawn = self.rng.random()
        if drawn >= self.slips["noticed"] + self.slips["unnoticed"]:
            return f"{left}{equals}{value}", value
        wrong = slipped(self.rng, value)
        if drawn < self.slips["unnoticed"]:
            return f"{left}{equals}{wrong}", wrong
        return f"{left}{equals}{wrong}{voice.wait}{left}{equals}{value}", value


STEADY: Mapping[str, float] = {"noticed": 0.0, "unnoticed": 0.0}


def hand_of(rng: random.Random, *, going_back: bool) -> Hand:
    """The hand of somebody who searches; who never goes back notices no slip."""
    return Hand(rng, SLIP if going_back else {"noticed": 0.0, "unnoticed": SLIP["unnoticed"]})


def slipped(rng: random.Random, value: int) -> int:
    """A result that is wrong in one of the usual ways: a lost carry, one too many, ten too many."""
    return rng.choice([wrong for wrong in (value - 10, value - 1, value + 1, value + 10) if wrong >= 0])
