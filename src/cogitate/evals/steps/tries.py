"""The tries of a thinking: which candidates it goes through, and what it says of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cogitate.evals.steps.statements import Statement

_LEAD = (
    r"(?:try|maybe|what about|next|then|or|test|check:?|once more:"
    r"|试试?|也许|那么|再试|再看|或者|先试|验算：|检查一下：|再算一遍：)"
)
_IS = r"x\s*(?:=|is|是)\s*"
_VALUE = re.compile(
    rf"(?:\b|(?<=[^\x00-\x7f]))(?:{_LEAD}\s*(?:{_IS})?|{_IS})(?P<value>\d+)(?=\s*[:：,，。]|\.\s)",
    re.IGNORECASE,
)
_STEP = r"[+\-*]\s*\d+"
_STEPS = re.compile(rf"(?<![\d)]\s)(?<![\d)x])(?P<steps>{_STEP}(?:\s*(?:,|，|then|and then|然后|再)\s*{_STEP})+)\s*[:：]")


@dataclass(frozen=True, slots=True)
class Try:
    """One candidate.

    Attributes:
        start, end: from its beginning to that of the next one.
        candidate: what is tried, in one spelling.
        rejected: whether the thinking says that it is not what is wanted; None where it says nothing.
    """

    start: int
    end: int
    candidate: str
    rejected: bool | None = None


def tries_of_values(thinking: str, statements: Sequence[Statement]) -> list[Try]:
    """Values of x: "Try 8: ...", "x = 8: ..."."""
    starts = [(match.start(), match["value"]) for match in _VALUE.finditer(thinking)]
    return [found for found in judged(starts, thinking, statements) if _has_steps(found, statements)]


def tries_of_steps(thinking: str, statements: Sequence[Statement]) -> list[Try]:
    """Orders of steps: "+ 3, * 2: ..."."""
    starts = [(match.start(), "".join(re.findall(r"[+\-*]|\d+|,", match["steps"]))) for match in _STEPS.finditer(thinking)]
    return judged(starts, thinking, statements)


def tries_of_numbers(thinking: str, statements: Sequence[Statement], numbers: Sequence[int]) -> list[Try]:
    """Chains of equations that use up the given numbers, each result standing for what it was made from.

    A chain ends with a comparison, with the last number, or where an equation cannot be made from what is left of the numbers.
    An equation of the same left side as the one before takes its place. Tries are chains of all numbers, and compared ones.
    """
    found: list[Try] = []
    left, chain = Counter(numbers), list[Statement]()

    def close(rejected: bool | None) -> None:
        nonlocal left, chain
        if chain and (rejected is not None or left.total() == 1):
            candidate = ",".join(f"{each.subject}={each.value}" for each in chain)
            found.append(Try(chain[0].start, chain[-1].end, candidate, rejected))
        left, chain = Counter(numbers), []

    for statement in statements:
        if statement.kind == "comparison":
            close(statement.rejects)
        elif statement.kind == "equation" and statement.value is not None:
            if chain and chain[-1].subject == statement.subject:
                left -= Counter([_whole(chain.pop().value)])
                left[_whole(statement.value)] += 1
                chain.append(statement)
                continue
            used = Counter(int(number) for number in re.findall(r"\d+", statement.subject))
            if used - left:
                close(None)
            if used - left:
                continue  # no equation of these numbers
            left = left - used + Counter([_whole(statement.value)])
            chain.append(statement)
    close(None)
    ends = [*(each.start for each in found[1:]), len(thinking)]
    return [replace(each, end=end) for each, end in zip(found, ends, strict=False)]


def _whole(value: object) -> int:
    return int(value)  # type: ignore[call-overload, no-any-return]


def judged(starts: Sequence[tuple[int, str]], thinking: str, statements: Sequence[Statement]) -> list[Try]:
    """Tries from where they begin: rejected where the last comparison of a try rejects."""
    ends = [*(start for start, _ in starts[1:]), len(thinking)]
    found = []
    for (start, candidate), end in zip(starts, ends, strict=False):
        compared = [each.rejects for each in statements if each.kind == "comparison" and start <= each.start < end]
        found.append(Try(start, end, candidate, compared[-1] if compared else None))
    return found


def _has_steps(found: Try, statements: Sequence[Statement]) -> bool:
    """A value with nothing calculated about it is mentioned, not tried."""
    return any(found.start <= each.start < found.end for each in statements)
