"""Figures by level of difficulty, of problems that have one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cogitate.evals.metrics import Rows, pass_at_1
from cogitate.tasks.puzzles import countdown, find_x, knights, long_sums, programs
from cogitate.tasks.puzzles.levels import LEVELS, LEVELS_TO_LEARN
from cogitate.types import PLACE, Problem

SEARCHED = frozenset(module.NAME for module in (countdown, find_x, knights, programs))  # candidates are tried
PUZZLES = SEARCHED | {long_sums.NAME}
EXTRAPOLATION = "extrapolation"
OF_LEVEL = "pass@1.level_"  # and the level


def level_of(problem: Problem) -> int | None:
    """The whole number `level` of a problem; None where it has none, or a text ("Level 5")."""
    level = problem.fields.get("level")
    return level if isinstance(level, int) and not isinstance(level, bool) else None


def is_puzzle(problem: Problem) -> bool:
    """Whether it is a puzzle of ours (tasks/puzzles/) and of no file: corpus and training have these up to LEVELS_TO_LEARN."""
    return problem.task in PUZZLES and level_of(problem) in LEVELS and PLACE not in problem.fields


def is_searched(problem: Problem) -> bool:
    """Whether it is a puzzle with candidates to try: long sums have none."""
    return problem.task in SEARCHED and is_puzzle(problem)


def level_metrics(problems: Sequence[Problem], right: Rows) -> dict[str, Any]:
    """pass@1 by level, and of the puzzles whose level no training shows; {} where no problem has a level.

    Args:
        right: 1 or 0 for each completion of a problem that has a verdict; problems without any are left out.

    Returns:
        {"pass@1.level_1": {"value", "ci95", "problems"}, ..., "extrapolation": the same}.
    """
    judged = [(problem, row) for problem, row in zip(problems, right, strict=True) if len(row) > 0]
    by_level: dict[int, list[Sequence[float]]] = {}
    for problem, row in judged:
        if (level := level_of(problem)) is not None:
            by_level.setdefault(level, []).append(row)
    rows = {f"{OF_LEVEL}{level}": by_level[level] for level in sorted(by_level)}
    beyond = [row for problem, row in judged if is_puzzle(problem) and level_of(problem) not in LEVELS_TO_LEARN]
    if beyond:
        rows[EXTRAPOLATION] = beyond
    return {name: {**pass_at_1(chosen).as_json(), "problems": len(chosen)} for name, chosen in rows.items()}
