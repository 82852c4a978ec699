"""Workings of who-is-taller problems: a guess, the order at once, or the comparisons chained one by one."""

from __future__ import annotations

import itertools
import random

from cogitate.tasks.corpus.styles import SLIP_FOUND, Style, Worked, is_wrong
from cogitate.tasks.generators.logic import Order


def solve(rng: random.Random, item: Order, style: Style) -> Worked:
    """One author's solution. The usual guess is whoever was named first."""
    wrong = is_wrong(rng, style, len(item.premises))
    answer = guess(item) if wrong else item.answer()
    if style == "bare":
        return Worked("", answer)
    english = item.language == "en"
    if style == "mixed":
        english = not english if rng.random() < 0.5 else english
    people = list(item.people)
    if style == "short":
        if wrong:
            rng.shuffle(people)
            answer = people[item.people.index(item.answer())]
        return Worked(order_line(people, english), answer)
    told = ", ".join(f"{taller} > {shorter}" for taller, shorter in item.premises)
    chain = ", ".join(f"{taller} > {shorter}" for taller, shorter in itertools.pairwise(people))
    lines = [f"We know {told}. " if english else f"已知{told}。"]
    if style == "mixed" and (english == (item.language == "en")):
        english = not english
    lines.append(f"At the top: {people[0]}. " if english else f"最高的是{people[0]}。")
    if style == "checked":
        lines += check(rng, people, english)
    lines.append(f"So {chain}. " if english else f"所以{chain}。")
    lines.append(order_line(people, english))
    return Worked("".join(lines), answer)


def order_line(people: list[str], english: bool) -> str:
    return f"Order: {', '.join(people)}." if english else f"顺序：{'，'.join(people)}。"


def guess(item: Order) -> str:
    """The first name told, or the second where the first would be right."""
    named = [name for premise in item.premises for name in premise]
    return next(name for name in named if name != item.answer())


def check(rng: random.Random, people: list[str], english: bool) -> list[str]:
    """A wrong start taken back, or the top compared again."""
    if rng.random() < SLIP_FOUND:
        wrong = rng.choice(people[1:])
        above = people[people.index(wrong) - 1]
        if english:
            return [f"Or is it {wrong}? Wait, {above} > {wrong}, so not {wrong}. "]
        return [f"是{wrong}吗？等等，{above} > {wrong}，所以不是{wrong}。"]
    return [f"Let me check: nobody is above {people[0]}. Right. " if english else f"检查一下：没有人比{people[0]}高。没错。"]
