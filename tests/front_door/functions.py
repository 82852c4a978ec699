"""Functions that tests write as modules."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

LIMIT = 3
WORD = re.compile(r"[a-z]+", re.IGNORECASE)
OPEN = open(__file__)  # noqa: SIM115 - what must not be read
OPEN.close()


class Weights:
    accuracy = 1.0

    def judge(self, completion: str, problem: Mapping[str, Any]) -> float:
        return self.accuracy


WEIGHTS = Weights()


def count_words(text: str) -> int:
    """A helper that reads its module."""
    return min(len(WORD.findall(text)), LIMIT)


def judge(completion: str, problem: Mapping[str, Any], share: float = LIMIT / 6) -> float:
    most, _ = Counter(completion.split()).most_common(1)[0]
    return share * count_words(completion) / LIMIT + (1 - share) * float(most == problem["word"])


def at_least(limit: int) -> Callable[[str, Mapping[str, Any]], float]:
    def long_enough(completion: str, problem: Mapping[str, Any]) -> float:
        return float(count_words(completion) >= limit)

    return long_enough


def halved(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def half(*arguments: Any) -> Any:
        return function(*arguments) / 2

    return half


@halved
def decorated(completion: str, problem: Mapping[str, Any]) -> float:
    return 1.0


@functools.cache
def steps(number: int) -> int:
    return 0 if number <= 1 else 1 + steps(number // 2)


def cached(completion: str, problem: Mapping[str, Any]) -> float:
    return steps(len(completion)) / 10


short, never = (lambda completion, problem: float(len(completion) < LIMIT)), (lambda completion, problem: 0.0)


def reads_an_object(completion: str, problem: Mapping[str, Any]) -> float:
    return WEIGHTS.accuracy


def reads_a_class(completion: str, problem: Mapping[str, Any]) -> float:
    return Weights.accuracy


def reads_a_file(completion: str, problem: Mapping[str, Any]) -> float:
    return float(completion in OPEN)


def reads_its_place(completion: str, problem: Mapping[str, Any]) -> float:
    return float(completion in __file__)


def imports_a_file(completion: str, problem: Mapping[str, Any]) -> float:
    from tests.front_door import functions

    return functions.judge(completion, problem)


def counts_calls(completion: str, problem: Mapping[str, Any]) -> float:
    global LIMIT
    LIMIT += 1
    return 0.0


def counting() -> Callable[[str, Mapping[str, Any]], float]:
    calls = 0

    def count(completion: str, problem: Mapping[str, Any]) -> float:
        nonlocal calls
        calls += 1
        return calls

    return count


async def waits(completion: str, problem: Mapping[str, Any]) -> float:
    return 0.0


def one_argument(completion: str) -> float:
    return 0.0
