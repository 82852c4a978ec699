"""Which prompts a step of reinforcement learning asks: pools gone through epoch by epoch, each in an order of its own."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from cogitate.runtime import derive_seed
from cogitate.types import Problem

Item = TypeVar("Item")
Drawn = tuple[Problem, tuple[int | str, ...]]  # a problem, and what the seeds of its completions are derived from


@dataclass(frozen=True, slots=True)
class Pool:
    """Problems that have a share of every step's prompts, from some step on: in R1's last stage general prompts join the
    reasoning ones (arXiv:2501.12948, section 2.3.4).

    Attributes:
        prompts_per_step: how many of RLConfig.prompts_per_step are of this pool.
    """

    problems: Sequence[Problem]
    from_step: int
    prompts_per_step: int

    def share(self, step: int) -> int:
        """How many of a step's prompts are of this pool."""
        return self.prompts_per_step if step >= self.from_step else 0


def in_turn(items: Sequence[Item], count: int, key: Callable[[Item], str]) -> list[Item]:
    """At most `count` items, the groups of a key in turn, each in its order: no group is crowded out by a larger one."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    turns = itertools.zip_longest(*groups.values())
    return [item for turn in turns for item in turn if item is not None][:count]


def easiest(problems: Sequence[Problem], share: float, rates: Mapping[str, float] | None = None) -> Sequence[Problem]:
    """The easiest `share` of each task's problems, at least one.

    Args:
        rates: how often the model that training starts from solves each problem, by `key_of`; then the easiest are those that
            it solves most often, and those without a rate come last. Without rates no model is asked: fewer numbers in the
            question are easier, then shorter numbers, then fewer words.
    """
    if share >= 1:
        return problems
    by_task: dict[str, list[Problem]] = {}
    for problem in problems:
        by_task.setdefault(problem.task, []).append(problem)

    def hard(problem: Problem) -> tuple[float, tuple[int, int, int]]:
        return (-rates.get(key_of(problem), -1.0) if rates is not None else 0.0, difficulty(problem.question))

    return [problem for group in by_task.values() for problem in sorted(group, key=hard)[: max(1, round(share * len(group)))]]


def difficulty(question: str) -> tuple[int, int, int]:
    """(numbers, digits of the longest one, words)."""
    numbers = re.findall(r"\d+(?:[.,]\d+)*", question)
    return len(numbers), max((sum(map(str.isdigit, number)) for number in numbers), default=0), len(question.split())


def draw(problems: Sequence[Problem], cursor: int, count: int, *, seed: int, name: str) -> list[Drawn]:
    """`count` problems from the cursor on; whoever has drawn `cursor` of them before has met each equally often, within one."""
    drawn: list[Drawn] = []
    for number in range(cursor, cursor + count):
        epoch, place = divmod(number, len(problems))
        drawn.append((problems[epoch_order(seed, name, epoch, len(problems))[place]], (seed, name, number)))
    return drawn


def draw_by_need(
    problems: Sequence[Problem], success: Mapping[str, Sequence[int]], cursor: int, count: int, *, seed: int, name: str
) -> list[Drawn]:
    """`count` different problems, each drawn in proportion to 1 - its success so far (prioritised sampling of Kimi k1.5,
    arXiv:2501.12599, section 2.3.4); what has always been solved comes only where nothing else is left.

    Args:
        success: (right completions, all) of each problem that has been asked, by `key_of`; others count as never solved.
    """
    chance = random.Random(derive_seed(seed, name, "need", cursor))
    waits: list[float] = []
    for problem in problems:
        right, asked = success.get(key_of(problem), (0, 1))
        wait = chance.expovariate(1.0)  # of clocks that run at the speed of their need, the first ones
        waits.append(wait * asked / (asked - right) if right < asked else math.inf)
    chosen = sorted(range(len(problems)), key=lambda place: (waits[place], place))[:count]
    return [(problems[place], (seed, name, cursor + number)) for number, place in enumerate(chosen)]


def key_of(problem: Problem) -> str:
    """A problem's name among those of all tasks."""
    return f"{problem.task}/{problem.id}"


@lru_cache(maxsize=4)
def epoch_order(seed: int, name: str, epoch: int, count: int) -> tuple[int, ...]:
    """A permutation of 0..count-1, fixed by its arguments."""
    order = list(range(count))
    random.Random(derive_seed(seed, name, "epoch", epoch)).shuffle(order)
    return tuple(order)
