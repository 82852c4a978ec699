"""What all tasks share: the splits, the rule that keeps evaluation apart, and mixtures of tasks."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cogitate.errors import DataError
from cogitate.types import Problem

Split = Literal["corpus", "train", "eval"]

HELD_OUT_SHARE = 4  # one composition in four is kept for evaluation
DRAWS_PER_PROBLEM = 200  # a task that repeats itself this often has too few distinct problems


@dataclass(frozen=True, slots=True)
class Task:
    """A named source of problems.

    Attributes:
        generate: draws one problem of a split; equal random states give equal problems.
        needs_sandbox: grading runs model-written code.
    """

    name: str
    generate: Callable[[random.Random, Split], Problem]
    needs_sandbox: bool = False


def is_held_out(task: str, composition: str) -> bool:
    """Whether a composition (the pattern of a problem without its numbers and names) is for evaluation only.

    Decided by a stable hash, so that corpus, training prompts and evaluation never share a composition.
    """
    digest = hashlib.sha256(f"{task}:{composition}".encode()).digest()
    return digest[0] % HELD_OUT_SHARE == 0


def belongs(split: Split, task: str, composition: str) -> bool:
    """Evaluation takes the held-out compositions, corpus and training the others."""
    return is_held_out(task, composition) == (split == "eval")


def weighted(rng: random.Random, table: dict[str, float]) -> str:
    """One key drawn with the probability that stands beside it."""
    return rng.choices(list(table), weights=list(table.values()))[0]


def draw_problems(tasks: Sequence[Task], count: int, *, split: Split, seed: int) -> list[Problem]:
    """`count` distinct problems, the tasks in equal shares and in turn.

    Raises:
        DataError: a task has fewer distinct problems than asked for.
    """
    rngs = [random.Random(f"{seed}/{split}/{task.name}") for task in tasks]
    seen: set[str] = set()
    problems: list[Problem] = []
    for index in range(count):
        task, rng = tasks[index % len(tasks)], rngs[index % len(tasks)]
        for _ in range(DRAWS_PER_PROBLEM):
            problem = task.generate(rng, split)
            if problem.id not in seen:
                break
        else:
            raise DataError(f"task {task.name}: fewer than {count} distinct {split} problems; ask for fewer")
        seen.add(problem.id)
        problems.append(problem)
    return problems
