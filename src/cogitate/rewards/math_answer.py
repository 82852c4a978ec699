"""Mathematical answers."""

from __future__ import annotations

import re
from fractions import Fraction

from cogitate.rewards.answer import Contract, find_answer
from cogitate.rewards.verdicts import clip, judged, no_verdict, wrong
from cogitate.types import Verdict

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?|[-+]?\.\d+")


def grade_math(prediction: str, gold: str, *, contract: Contract = "r1") -> Verdict:
    wanted = read_number(gold)
    if wanted is None:
        return no_verdict(f"the reference {clip(gold)!r} is not a number")
    answer = find_answer(prediction, contract)
    if answer.problem:
        return wrong(answer.problem)
    text = answer.text
    value = read_number(text)
    if value is None and answer.source in ("text", "statement"):
        found = _NUMBER.findall(text)
        text = found[-1 if answer.source == "text" else 0] if found else text
        value = read_number(text)
    if any(read_number(other) != value for other in answer.alternatives):
        return wrong("several different answers are given", answer.text)
    return judged(value == wanted, f"the answer is {clip(text)}, the reference {clip(gold)}", text)


def read_number(text: str) -> Fraction | None:
    text = text.strip().strip("$").rstrip(".").strip()
    match = re.fullmatch(r"\\[dtc]?frac\{(-?\d{1,50})\}\{(\d{1,50})\}", text)
    text = f"{match.group(1)}/{match.group(2)}" if match else text
    if not _NUMBER.fullmatch(text) or len(text) > 100:
        return None
    try:
        return Fraction(text.replace(",", "").lstrip("+"))
    except ZeroDivisionError:
        return None
